#!/usr/bin/env bash
# A run that is killed three times in the middle of an epoch (and interrupted once) ends with the very
# files of the run that was left alone. Argument: the command asmlp, with asmlp-torch beside it.
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive  # what asmlp-torch would set itself; saves starting it twice

# Starts or resumes the run `killed` and sends SIGNAL when the line of STEP ("epoch 2/4 step 15/24")
# appears. The run's standard error is a pipe that is read line by line: no waiting by the clock. The
# state is saved after every seventh step, right after its line: some kills hit a write.
signal_at() {
  local signal=$1 step=$2 code=0 seen=no
  shift 2
  mkfifo "$work/pipe"
  (train killed "$@") 2>"$work/pipe" &
  local process=$!
  : >"$work/log"
  while IFS= read -r line; do
    echo "$line" >>"$work/log"
    if [[ $seen == no && $line == "$step "* ]]; then
      seen=yes
      kill -s "$signal" "$process"
    fi
  done <"$work/pipe"
  rm "$work/pipe"
  wait "$process" || code=$?
  [[ $seen == yes ]] || fail "no line '$step' before the run ended with code $code"
  echo "$signal at $step: exit code $code"
  return "$code"
}

(train whole) 2>"$work/log" || fail "the uninterrupted run"

code=0; signal_at KILL "epoch 1/4 step 15/24" || code=$?
[[ $code == 137 ]] || fail "exit code $code after SIGKILL"
[[ -f $work/killed/run/last.safetensors ]] || fail "no state after a kill"
(train killed) 2>"$work/log" && fail "a new run over an old one"
grep -q -- --resume "$work/log" || fail "no advice to resume"

code=0; signal_at KILL "epoch 2/4 step 10/24" --resume || code=$?
[[ $code == 137 ]] || fail "exit code $code after SIGKILL"
grep -q "resumed from run/last.safetensors at epoch 1, step" "$work/log" ||
  fail "the second run started again"

code=0; signal_at INT "epoch 2/4 step 21/24" --resume || code=$?
[[ $code == 130 ]] || fail "exit code $code after SIGINT"
grep -q "continue with: asmlp train --resume run/last.safetensors" "$work/log" ||
  fail "SIGINT: no advice"

code=0; signal_at KILL "epoch 4/4 step 16/24" --resume || code=$?
[[ $code == 137 ]] || fail "exit code $code after SIGKILL"

(train killed --auto-resume) 2>"$work/log" || fail "the last resume"
for file in final.safetensors best.safetensors summary.csv args.yaml; do
  cmp "$work/whole/run/$file" "$work/killed/run/$file" || fail "$file differs"
done
[[ -z $(find "$work/killed/run" -name '*.tmp.*') ]] || fail "temporary files are left"

# A damaged state is an error that says so, and changes nothing.
cp "$work/killed/run/last.safetensors" "$work/copy"
truncate -s 1000 "$work/killed/run/last.safetensors"
code=0; (train killed --resume) 2>"$work/log" || code=$?
[[ $code == 1 ]] || fail "exit code $code for a damaged state"
grep -q "run/last.safetensors.*damaged" "$work/log" || fail "the damaged state is not named"

# --auto-resume goes on from the state before it, to the same end.
rm "$work/killed/run/final.safetensors"
(train killed --auto-resume) 2>"$work/log" || fail "auto-resume from the state before"
grep -q "continuing from run/previous.safetensors" "$work/log" || fail "no word on the older state"
cmp "$work/whole/run/final.safetensors" "$work/killed/run/final.safetensors" ||
  fail "final differs after the older state"

# Without the recipe: the options are the run's own, and there is nothing left to do.
cp "$work/copy" "$work/killed/run/last.safetensors"
(cd "$work/killed" && "$asmlp" train --resume run/last.safetensors --json) \
  >"$work/json" 2>"$work/log" || fail "resume of a finished run"
grep -q '"outcome": "finished"' "$work/json" || fail "the finished run is not finished"
cmp "$work/whole/run/final.safetensors" "$work/killed/run/final.safetensors" || fail "final differs"
echo "the same files as without kills"
