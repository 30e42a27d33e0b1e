#!/usr/bin/env bash
# A study of 2 variants x 2 seeds that is killed and interrupted ends with the table of the study that
# was left alone; a changed configuration is trained, the others are not again; a run that fails is in
# the table. Argument: the command asmlp, with asmlp-torch beside it.
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive
cd "$work"
cat >study.yaml <<'YAML'
base: {recipe: recipe.yaml, log_interval: 1, data: grays}
epochs: 2
seeds: [1, 2]
baseline: shift 3
variants:
  - {name: shift 3, set: {model.config.shift_size: 3}}
  - {name: shift 1, set: {model.config.shift_size: 1}}
YAML

study() { "$asmlp" study study.yaml --output "$1" --jobs 2 "${@:2}"; }

study out --dry-run --json >dry.json 2>log || fail "the dry run"
python3 - <<'PYTHON' || fail "the estimate"
import json, pathlib
estimate = json.load(open("dry.json"))
assert estimate["runs"] == 4 and estimate["jobs"] == 2 and estimate["seconds_to_do"] > 0, estimate
assert [c["steps"] for c in estimate["configurations"]] == [48, 48], estimate
assert all(c["peak_memory_bytes"] > 1e6 for c in estimate["configurations"]), estimate
assert list(pathlib.Path("out/runs").iterdir()) == [], "a dry run leaves runs"
PYTHON

study whole --json >whole.json 2>log || fail "the uninterrupted study"

# Sends SIGNAL to the study when a run's log has a line of PATTERN.
signal_study() {
  local signal=$1 pattern=$2 code=0
  (exec "$asmlp" study study.yaml --output out --jobs 2 --json) >out.json 2>log &
  local process=$!
  until grep -qsh "$pattern" out/runs/*/train.log; do
    kill -0 "$process" 2>/dev/null || break
    sleep 0.02
  done
  kill -s "$signal" "$process" 2>/dev/null || true
  wait "$process" || code=$?
  echo "$signal: exit code $code"
  return "$code"
}

# Killed, its runs save and end; the next call waits for them and goes on.
code=0; signal_study KILL "^epoch 1/2 step" || code=$?
[[ $code == 137 ]] || fail "exit code $code after SIGKILL"
code=0; signal_study INT "resumed from" || code=$?
[[ $code == 130 ]] || fail "exit code $code after SIGINT"
grep -q "continue with: asmlp study study.yaml --output out" log || fail "SIGINT: no advice"
python3 - <<'PYTHON' || fail "the table of the interrupted study"
import json
runs = json.load(open("out.json"))["runs"]
assert runs["missing"] > 0 and runs["failed"] == 0, runs
PYTHON

study out --json >out.json 2>log || fail "the resumed study"
cat >same.py <<'PYTHON'
import json
def figures(file):
    rows = json.load(open(file))["groups"][0]["rows"]
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]
assert figures("whole.json") == figures("out.json"), (figures("whole.json"), figures("out.json"))
PYTHON
python3 same.py || fail "another table than without interruptions"
for run in whole/runs/*; do  # losses to the last digit: the table of so small a data set is coarse
  cmp "$run/summary.csv" "out/${run#whole/}/summary.csv" || fail "another course of $run"
done
for file in results.md results.csv results.json top1.png; do
  [[ -s out/$file ]] || fail "no $file"
done

# Nothing to do: the same table at once, and no process is started (the logs stay as they are).
cat out/runs/*/train.log | cksum >before
study out --json >out.json 2>log || fail "the finished study again"
cat out/runs/*/train.log | cksum | cmp - before || fail "finished runs were trained again"
python3 same.py || fail "another table from the records"

# The speed of the engine is measured beside the finished runs and kept in the results.
study out --data grays --speed --json >speed.json 2>log || fail "the speed of the models"
study out --json >again.json 2>log || fail "the results with the speed"
cat out/runs/*/train.log | cksum | cmp - before || fail "--speed: finished runs were trained again"
python3 - <<'PYTHON' || fail "the speed in the results"
import json
rows = [json.load(open(name))["groups"][0]["rows"] for name in ("speed.json", "again.json")]
assert rows[0] == rows[1], rows
for row in rows[0]:
    engine = row["engine"]
    assert engine["ms"] > 0 and engine["images_per_second"] > 0 and engine["threads"] == 1, row
PYTHON
grep -q "engine ms" out/results.md || fail "no column of the speed"
grep -q "<svg" out/cost.svg || fail "no chart of the cost"

# One changed configuration: only that is trained. A data set that is not there fails at once.
sed -i 's/shift_size: 1/shift_size: [1, 3]/' study.yaml
study out --json >changed.json 2>log || fail "the changed study"
[[ $(find out/runs -name result.json | wc -l) == 6 ]] || fail "not two new runs"
echo '  - {name: nowhere, set: {data: nowhere}}' >>study.yaml
echo '  - {name: typo, set: {batch_sise: 8}}' >>study.yaml
code=0; study out >refused 2>log || code=$?
[[ $code == 2 ]] && grep -q "nowhere: " log && grep -q "typo: .*did you mean 'batch-size'" log ||
  fail "configurations that do not start: exit code $code"

# A run that fails later: its data set is gone after the timing.
cp -r grays away
sed -i '/name: typo/d; s/data: nowhere/data: away/' study.yaml
study out --dry-run >dry 2>log || fail "the dry run of three variants"
rm -r away
code=0; study out --json >failed.json 2>log || code=$?
[[ $code == 1 ]] || fail "exit code $code of a study with failures"
python3 - <<'PYTHON' || fail "the failures in the table"
import json
document = json.load(open("failed.json"))
assert document["runs"] == {"planned": 6, "finished": 4, "failed": 2, "missing": 0}, document["runs"]
row = document["groups"][0]["rows"][2]
assert [f["seed"] for f in row["failed"]] == [1, 2] and "away" in row["failed"][0]["error"], row
PYTHON
grep -q "seed 1 failed: .*away" out/results.md || fail "the failure is not in results.md"
echo passed
