#!/bin/bash
# Installs what is missing, builds everything and runs the test suite: for every instruction set of the
# machine but the default one the tests that depend on it, then all of it. The last lines printed are
# the summary of ctest's last run, which is the one that failed if one did.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<USAGE
usage: scripts/test.sh [--torch-free | --preset PRESET | --aarch64] [CTEST_ARGUMENT...]

  --torch-free     without LibTorch (the same as --preset torch-free)
  --aarch64        cross-compile the library, the command, and tests for 64-bit ARM; run the tests that
                   need no other process, under qemu as a Cortex-A72 and as a processor that has everything
  --preset PRESET  release (default), dev, torch-free, asan or tsan
  CTEST_ARGUMENT   handed on, e.g. -R '^engine\.' for the tests of one layer

With ASMLP_ISA=NAME in the environment the whole suite runs once, with that instruction set.
USAGE
}

preset=release
while (($# > 0)); do
  case "$1" in
    --torch-free) preset=torch-free ;;
    --aarch64) preset=aarch64 ;;
    --preset)
      (($# > 1)) || { usage >&2; exit 1; }
      preset=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) break ;;
  esac
  shift
done

case "$preset" in
  release) folder=build deps=() ;;
  dev) folder=build-dev deps=() ;;
  aarch64) folder=build-aarch64 deps=(--aarch64) ;;
  *) folder=build-$preset deps=(--torch-free) ;;
esac
scripts/install_deps.sh "${deps[@]}"
# Of a cross build, what needs no other program.
layers=(core kernels image engine api) targets=()
if [[ $preset == aarch64 ]]; then
  targets=(asmlp asmlp_shared)
  for layer in "${layers[@]}"; do targets+=("asmlp_${layer}_test"); done
fi
scripts/build.sh "$preset" "${targets[@]}"
run() { ctest --test-dir "$folder" --output-on-failure --parallel "$(nproc)" "$@"; }

if [[ $preset == aarch64 ]]; then
  # An emulated process does not learn when it started, and the limit of its address space is ignored.
  unlike='OfManyThatComeAtOnceOneGetsIt|WorksWithTheThreadsThatTheSystemGives'
  for cpu in cortex-a72 max; do
    export QEMU_CPU=$cpu
    echo "qemu, $cpu: $(qemu-aarch64-static -L build-aarch64-sysroot "$folder/bin/asmlp" info --cpu |
      sed -n 's/^instruction sets *//p')"
    run --tests-regex "^($(IFS='|' && echo "${layers[*]}"))\\." --exclude-regex "$unlike" "$@"
  done
  exit
fi

if [[ -z ${ASMLP_ISA:-} ]]; then
  cpu=$("$folder/bin/asmlp" info --cpu)
  isas=$(sed -n 's/^instruction sets *//p' <<<"$cpu" | tr -d ,)
  default=$(sed -n 's/^chosen *//p' <<<"$cpu")
  [[ " $isas " == *" $default "* ]] || { echo "test.sh: cannot read: $cpu" >&2; exit 1; }
  for isa in $isas; do
    [[ $isa != "$default" ]] || continue
    echo "ASMLP_ISA=$isa: the tests that depend on the instruction set"
    ASMLP_ISA=$isa run --label-regex '^isa$' "$@"
  done
  echo "ASMLP_ISA unset ($default): the whole suite"
fi
run "$@"
