#!/usr/bin/env bash
# Training on several processes of this machine: the same run as one process with the whole batch, a
# killed worker, another number of processes afterwards, Ctrl-C. Argument: the command asmlp, with
# asmlp-torch beside it.
VALIDATION_IMAGES=101  # not a multiple of any number of processes
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive  # what asmlp-torch would set itself; saves starting it twice
# Drop path draws per forward pass, and two halves of a batch are two passes: not here. The last bits of
# two runs differ, and the average of the weights would only hide it.
cat >>"$work/recipe.yaml" <<'YAML'
epochs: 2
model_ema: false
YAML
sed -i 's/^epochs: 4$//; s/^model_ema: true$//; s/drop_path: 0.2/drop_path: 0/' "$work/recipe.yaml"

# ---- two processes with half the batch each make the run of one with the whole

(train one --batch-size 16 --json) >"$work/one.json" 2>"$work/log" || fail "one process"
(train two --batch-size 8 --nproc 2 --json) >"$work/two.json" 2>"$work/log" || fail "two processes"
[[ -z $(grep "^\[rank 1\]" "$work/log") ]] || fail "rank 1 has something to say"
(cd "$work" && "$asmlp" validate grays --model two/run/final.safetensors --json) \
  >"$work/validate.json" 2>"$work/log" || fail "validate"
python3 - "$work" <<'PYTHON'
import csv, json, math, pathlib, sys
work = pathlib.Path(sys.argv[1])
one, two, validation = (json.loads((work / f"{n}.json").read_text())
                        for n in ("one", "two", "validate"))
assert (one["world_size"], two["world_size"]) == (1, 2), (one, two)
assert one["steps"] == two["steps"] == 48, (one, two)
# Every image of the validation set, once: the accuracy is that of one process to the last digit.
assert validation["images"] == 101, validation
assert two["last_top1"] == validation["top1"], (two["last_top1"], validation["top1"])
# The gradients differ by the order of their sums (a relative 1e-6, see connect_test.cc), 48 steps of
# AdamW amplify that.
tables = [list(csv.DictReader((work / n / "run/summary.csv").open())) for n in ("one", "two")]
assert len(tables[0]) == len(tables[1]) == 2
for a, b in zip(*tables):
    for column in ("train_loss", "eval_loss"):
        assert math.isclose(float(a[column]), float(b[column]), rel_tol=1e-3), (column, a, b)
    assert abs(float(a["eval_top1"]) - float(b["eval_top1"])) < 2.1, (a, b)  # two of 101
assert float(tables[0][0]["train_loss"]) != float(tables[0][1]["train_loss"])
PYTHON

# ---- a killed worker

# The process of RANK among those that the launcher $1 has started.
worker() {
  local child
  for child in $(cat /proc/"$1"/task/"$1"/children); do
    if tr '\0' '\n' <"/proc/$child/environ" | grep -qx "RANK=$2"; then echo "$child"; fi
  done
}

# Starts or continues the run `hurt` and sends SIGNAL to RANK (or to the launcher) at the first line that
# begins with STEP. Leaves the code in $code, the seconds from the signal to the end in $seconds. Nothing
# may depend on how far the run gets until the signal arrives: its 30 epochs are more than that.
signal_at() {
  local signal=$1 whom=$2 step=$3 sent=0
  shift 3
  mkfifo "$work/pipe"
  (train hurt --epochs 30 "$@") 2>"$work/pipe" &
  local launcher=$! target=$!
  : >"$work/log"
  while IFS= read -r line; do
    echo "$line" >>"$work/log"
    if [[ $sent == 0 && $line == "$step"* ]]; then
      sent=$(date +%s)
      [[ $whom == launcher ]] || target=$(worker "$launcher" "$whom")
      kill -s "$signal" "$target"
    fi
  done <"$work/pipe"
  rm "$work/pipe"
  code=0
  wait "$launcher" || code=$?
  [[ $sent != 0 ]] || fail "no line '$step' before the run ended with code $code"
  seconds=$(($(date +%s) - sent))
  echo "$signal to $whom at $step: exit code $code after $seconds s"
}

signal_at KILL 1 "epoch 1/30 step 15/24 " --batch-size 8 --nproc 2
[[ $code == 137 ]] || fail "exit code $code after SIGKILL to rank 1"
grep -Eq "rank 1 \(process [0-9]+\) was killed by signal 9" "$work/log" || fail "rank 1 is not named"
((seconds < 30)) || fail "the others went on for $seconds s"
[[ -f $work/hurt/run/last.safetensors ]] || fail "no state"

# Three processes of 8 take 16 steps for an epoch; then rank 0 dies.
signal_at KILL 0 "epoch " --batch-size 8 --nproc 3 --resume
[[ $code == 137 ]] || fail "exit code $code after SIGKILL to rank 0"
grep -q "resumed from run/last.safetensors at epoch" "$work/log" || fail "no resume on 3 processes"
grep -Eq "^epoch [0-9]+/30 step [0-9]+/16 " "$work/log" || fail "not the steps of 3 processes"
grep -Eq "rank 0 \(process [0-9]+\) was killed by signal 9" "$work/log" || fail "rank 0 is not named"
((seconds < 30)) || fail "the others went on for $seconds s"

# ---- Ctrl-C: all stop after the same step, and the state is saved

signal_at INT launcher "epoch " --batch-size 8 --nproc 2 --resume
[[ $code == 130 ]] || fail "exit code $code after SIGINT"
grep -Eq "stopped at epoch [0-9]+, step .*; continue with: asmlp train --resume run/last.safetensors" \
  "$work/log" || fail "SIGINT: no advice"

(train hurt --epochs 30 --nproc 1 --resume --json) >"$work/json" 2>"$work/log" || fail "resume on one process"
grep -q '"outcome": "finished"' "$work/json" || fail "the run is not finished"
[[ -z $(find "$work/hurt/run" -name '*.tmp.*') ]] || fail "temporary files are left"

# ---- errors before the start are said once

code=0
(train bad --nproc 2 --epochs 0) 2>"$work/log" || code=$?
[[ $code != 0 && $(grep -c "epochs" "$work/log") == 1 ]] || fail "a wrong option: exit code $code"
code=0
(RANK=0 WORLD_SIZE=2 train bad --nproc 2) 2>"$work/log" || code=$?
[[ $code != 0 ]] && grep -q "MASTER_ADDR" "$work/log" || fail "a broken environment: exit code $code"
code=0
(export RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29555; train bad --nproc 2) \
  2>"$work/log" || code=$?
[[ $code != 0 ]] && grep -q "nproc" "$work/log" || fail "--nproc under torchrun: exit code $code"
echo "several processes train as one, and end together"
