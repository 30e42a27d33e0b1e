#!/usr/bin/env bash
# LibTorch's rows stand in the table of `asmlp bench`, verified like the native ones; bf16 is refused
# there. Argument: the command asmlp, with asmlp-torch beside it.
set -euo pipefail
asmlp=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; cat "$work/log"; exit 1; }
cd "$work"

echo '{"embed_dim": 8, "depths": [1, 2], "num_classes": 5, "img_size": 32}' >small.json
"$asmlp" bench --model small.json --backend torch --batch 1,2 --precision fp32,bf16 --threads 1 \
  --runs 2 --cold-starts 1 --json >both.json 2>log || fail "bench --backend torch"
python3 - <<'PYTHON' || fail "the rows"
import json
rows = json.load(open("both.json"))["rows"]
kinds = [(r["backend"], r["precision"], r["batch"]) for r in rows]
assert kinds == [("native", "fp32", 1), ("native", "fp32", 2), ("native", "bf16", 1),
                 ("native", "bf16", 2), ("torch", "fp32", 1), ("torch", "fp32", 2)], kinds
for row in rows:
    assert row["model"] == "small" and row["weights"] == "deterministic", row
    assert row["verified"]["relative_error"] <= row["verified"]["tolerance"], row
    assert row["cold_start_ms"]["median"] > 0 and row["peak_memory_bytes"] > 0, row
    assert row["threads"] == 1, row
assert rows[4]["isa"] == "libtorch" and rows[4]["steps"] == [], rows[4]
# Another implementation: not the same bits, but the same numbers.
assert 0 < rows[4]["verified"]["relative_error"], rows[4]
PYTHON

code=0; "$asmlp" bench --model small.json --backend torch --precision bf16 2>log || code=$?
[[ $code == 1 ]] && grep -q "fp32" log || fail "bench with LibTorch in bf16: exit code $code"
code=0
"$(dirname "$asmlp")/asmlp-torch" bench --model small.json --precision bf16 2>log || code=$?
[[ $code == 1 ]] && grep -q -- "--precision bf16" log || fail "LibTorch in bf16: exit code $code"
echo passed
