#!/bin/bash
# Measures the table of benchmarks/README.md on this machine and writes
# benchmarks/results/<processor>.{json,md,png}. Takes about an hour on two cores; nothing else should
# run meanwhile.
#
#   benchmarks/run.sh                  all of it, with the build in build/
#   QUICK=1 benchmarks/run.sh [DIR]    fewer rows and one run of each, to see that it works; into DIR
#                                      (default build/bench-quick), never into benchmarks/results
#
# ASMLP=path/to/asmlp takes another build. Rows of LibTorch need asmlp-torch beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

asmlp=${ASMLP:-build/bin/asmlp}
results=benchmarks/results
models=(mobile tiny small base) batches=1,8 sizes=224,384,512,768,1024 options=()
if [[ ${QUICK:-} ]]; then
  results=${1:-build/bench-quick}
  models=(mobile tiny) batches=1 sizes=224,512
  options=(--runs 1 --warmup 0)
fi
[[ -x $asmlp ]] || { echo "run.sh: no $asmlp; build it with scripts/build.sh" >&2; exit 1; }
if [[ ! ${QUICK:-} && $(git status --porcelain -- asmlp cmake CMakeLists.txt) ]]; then
  echo "run.sh: uncommitted changes in the sources: the results could not name a commit" >&2
  exit 1
fi

cpu=$("$asmlp" info --cpu | sed -n 's/^processor *//p')
cores=$("$asmlp" info --cpu | sed -n 's/^cores usable *//p')
chosen=$("$asmlp" info --cpu | sed -n 's/^chosen *\([a-z0-9_]*\).*/\1/p')
# Every precision, but bf16x3 where it is computed as fp32.
precisions=$("$asmlp" info --cpu | sed -n 's/^precisions *//p' | sed 's/, bf16x3 (fma)//; s/ ([^)]*)//g; s/, /,/g')
slug=$(printf '%s' "$cpu" | tr 'A-Z' 'a-z' | tr -cs 'a-z0-9' '-' | sed 's/^-//; s/-$//')-${cores}-cores
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

parts=()
part() {  # part NAME options of asmlp bench...
  local file=$work/$1.json
  shift
  echo "== asmlp bench $*" >&2
  "$asmlp" bench "$@" --precision "$precisions" "${options[@]}" --json >"$file"
  parts+=("$file")
}
zoo() { local names; names=$(printf ',asmlp_%s_patch4_shift5_224' "$@"); echo "${names:1}"; }

torch=()
if [[ -x $(dirname "$asmlp")/asmlp-torch ]]; then torch=(--backend torch); fi
part latency --latency --model "$(zoo tiny)"
if [[ ${QUICK:-} ]]; then options+=(--cold-starts 1); fi
part published --model "$(zoo "${models[@]}")" --batch $batches "${torch[@]}"
part base384 --model asmlp_base_patch4_shift5_384 --batch $batches
if [[ $chosen != avx2 ]] && "$asmlp" info --cpu | grep -q 'instruction sets.*avx2'; then
  part avx2 --model "$(zoo tiny)" --isa avx2
fi
part sizes --model "$(zoo tiny)" --img-size $sizes
# The default again, so that the variants are compared with a row of the same minutes.
variants=$(printf ',%s' benchmarks/configs/*.yaml)
part variants --model "$(zoo tiny)$variants"

mkdir -p "$results"
"$asmlp" bench --from "${parts[@]}" --plot "$results/$slug.png" --json >"$work/all.json"
"$asmlp" bench --from "${parts[@]}" --markdown >"$work/all.md"
mv "$work/all.json" "$results/$slug.json"
mv "$work/all.md" "$results/$slug.md"
echo "$results/$slug.{json,md,png}"
