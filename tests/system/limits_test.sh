#!/usr/bin/env bash
# Threads, files and address space that the system refuses: whatever the limit, a command does its work
# with fewer threads, to the same result, or ends with exit code 1 and one line that says why. Never a
# signal, an abort or a hang. Argument: the command asmlp, with asmlp-torch beside it.
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive
sed -i 's/^epochs: 4$/epochs: 1/; s/^warmup_epochs: 1$/warmup_epochs: 0/; /^model_ema/d' "$work/recipe.yaml"
sed -i "s#^data: .*#data: $work/grays#" "$work/recipe.yaml"
python3 - "$work/x.safetensors" <<'PYTHON'
import json, struct, sys
n = 28 * 28
header = json.dumps({"input": {"dtype": "F32", "shape": [1, 1, 28, 28], "data_offsets": [0, 4 * n]}}).encode()
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header)
    file.write(struct.pack(f"<{n}f", *[(i % 17) / 17 - 0.4 for i in range(n)]))
PYTHON
root=$(cd "$(dirname "$0")/../.." && pwd)
photo=$root/tests/data/photos/chelsea.png
model=$root/models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors
torch=$(dirname "$asmlp")/asmlp-torch
chmod -R a+rX "$work"

# ulimit -u does not bind root, and counts all that a user runs: root becomes a user who runs nothing.
# For an ordinary user, whose other processes count, small numbers mean no thread at all.
as_user=()
if [[ $(id -u) == 0 ]]; then
  user=$((60000 + $$ % 4000))
  as_user=(setpriv --reuid=$user --regid=$user --clear-groups)
  "${as_user[@]}" test -x "$asmlp" -a -r "$photo" -a -r "$work/recipe.yaml" || {
    echo "skipped: another user cannot run $asmlp"
    exit 77
  }
fi

# limited OPTION VALUE COMMAND...: runs it in a fresh folder; leaves $code, and the files out and err.
limited() {
  local option=$1 value=$2
  shift 2
  rm -rf "$work/run"
  mkdir -m 777 "$work/run"
  code=0
  (cd "$work/run" && timeout -s KILL 100 "${as_user[@]}" bash -c \
    'ulimit -c 0; ulimit "$1" "$2"; shift 2; exec "$@"' limited "$option" "$value" "$@") \
    >"$work/out" 2>"$work/err" </dev/null || code=$?
  cp "$work/err" "$work/log"
}

# What a command has found: LibTorch's last bits may depend on its threads.
result() {
  grep -v '^speed\|^peak memory' "$work/out" || true
  if [[ $1 == "$asmlp" && -f $work/run/y.safetensors ]]; then cksum <"$work/run/y.safetensors"; fi
}

# sweep OPTION "VALUES" NEEDED COMMAND...: with values from NEEDED on it has to succeed.
sweep() {
  local option=$1 values=$2 needed=$3 value done=0 right
  shift 3
  limited -c 0 "$@"
  [[ $code == 0 ]] || fail "without a limit: $*"
  right=$(result "$@")
  for value in $values; do
    limited "$option" "$value" "$@"
    case $code in
      0)
        [[ $right == "$(result "$@")" ]] || fail "ulimit $option $value: another result: $*"
        done=$((done + 1))
        ;;
      1)
        grep -q 'error: ' "$work/err" || fail "ulimit $option $value: no message: $*"
        ((value < needed)) || fail "ulimit $option $value: $*"
        ;;
      127)  # the dynamic linker's
        grep -q 'error while loading shared libraries' "$work/err" ||
          fail "ulimit $option $value: code 127: $*"
        ;;
      *) fail "ulimit $option $value: code $code: $*" ;;
    esac
    ! grep -q 'frame #\|terminate called\|Exception raised from' "$work/err" ||
      fail "ulimit $option $value: C++ in the message: $*"
  done
  echo "ulimit $option: $done of $(wc -w <<<"$values") did it: $(basename "$1") $2"
}

predict=("$asmlp" predict -j 64 --model "$model" "$photo" --topk 3)
validate=("$asmlp" validate "$work/grays" --model "$model" --threads 8)
forward=("$asmlp" forward --threads 8 --input "$work/x.safetensors" -o y.safetensors --model "$model")
torch_forward=("$torch" "${forward[@]:1}")
train=("$torch" train --config "$work/recipe.yaml" --output run --threads 4 --workers 3 --quiet)

# Threads: none of these needs more than its own.
sweep -u "1 2 3 8 20" 1 "${predict[@]}"
sweep -u "1 5" 1 "${validate[@]}"
sweep -u "1 5" 1 "${forward[@]}"
sweep -u "1 2 3 6" 1 "${torch_forward[@]}"
sweep -u "1 2 3 4 6 9" 1 "${train[@]}"
# Several processes need some for their exchange.
sweep -u "2 5 9 14 20 30" 1000 "${train[@]}" --nproc 2
# Files.
sweep -n "3 4 6 12" 12 "${predict[@]}"
sweep -n "4 6 12" 12 "${forward[@]}"
sweep -n "5 8 20" 20 "${train[@]}"
sweep -n "5 9 12 16 20 22 24 26 40" 40 "${train[@]}" --nproc 2
# Address space, in kB.
sweep -v "20000 40000 60000 100000 200000" 1000000 "${predict[@]}"
sweep -v "100000 300000 500000 700000 900000" 100000000 "${torch_forward[@]}"
