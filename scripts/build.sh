#!/bin/bash
# Configures and builds; the command is left at build/bin/asmlp.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<USAGE
usage: scripts/build.sh [PRESET] [TARGET...]

  PRESET  release (default, in build/), dev, torch-free, asan, tsan or aarch64 (in
          build-PRESET/); aarch64 cross-compiles, see docs/guide/arm.md
  TARGET  CMake targets to build, e.g. asmlp; everything by default

Training and the LibTorch path are built when LibTorch is there: Debian's package, or an upstream
archive found through CMAKE_PREFIX_PATH or Torch_DIR. JOBS=n sets the number of parallel jobs.
USAGE
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; echo "build.sh: unknown option '$1'" >&2; exit 1 ;;
esac
preset=${1:-release}
[[ $# -eq 0 ]] || shift
case "$preset" in
  release) folder=build ;;
  dev | torch-free | asan | tsan | aarch64) folder=build-$preset ;;
  *) usage >&2; echo "build.sh: unknown preset '$preset'" >&2; exit 1 ;;
esac
for tool in cmake ninja c++; do
  command -v "$tool" >/dev/null ||
    { echo "build.sh: $tool is missing; run scripts/install_deps.sh first" >&2; exit 1; }
done

# Which presets use LibTorch, and is it there?
torch=OFF
configure=(--preset "$preset")
if [[ $preset == release || $preset == dev ]]; then
  if [[ -n ${Torch_DIR:-} ]] || compgen -G '/usr/lib/*/cmake/Torch/TorchConfig.cmake' >/dev/null ||
    compgen -G "${CMAKE_PREFIX_PATH:-/nowhere}/share/cmake/Torch/TorchConfig.cmake" >/dev/null ||
    compgen -G '/usr/share/cmake/Torch/TorchConfig.cmake' >/dev/null; then
    torch=ON
  else
    echo "build.sh: LibTorch is not installed: building without training" \
      "(scripts/install_deps.sh installs it)" >&2
  fi
  configure+=("-DASMLP_TORCH=$torch")
fi

# A source that includes LibTorch takes about 1.5 GB to compile, another one 0.5 GB; more jobs than
# the memory holds would swap.
memory_kb() {
  local free limit
  free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  if [[ $limit != max ]] && ((limit / 1024 < free)); then free=$((limit / 1024)); fi
  echo "$free"
}
if [[ -z ${JOBS:-} ]]; then
  per_job=$([[ $torch == ON ]] && echo 1500000 || echo 500000)
  JOBS=$(nproc)
  room=$(($(memory_kb) / per_job))
  ((room >= JOBS)) || JOBS=$((room > 1 ? room : 1))
fi

targets=()
for target in "$@"; do targets+=(--target "$target"); done
cmake "${configure[@]}" --log-level=NOTICE
cmake --build "$folder" --parallel "$JOBS" "${targets[@]}"
