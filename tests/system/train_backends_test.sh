#!/usr/bin/env bash
# A model that `train` made gives the same answers on both backends, by the same options, in the same
# form, and says where it comes from. Argument: the command asmlp, with asmlp-torch beside it.
source "$(dirname "$0")/train_common.sh"

(train once --epochs 2 --json) >"$work/train.json" 2>"$work/log" || fail "train"
cd "$work"
model=once/run/final.safetensors
for backend in native torch; do
  "$asmlp" validate grays --model $model --backend $backend --threads 1 --confusion --json \
    >$backend.json 2>log || fail "validate --backend $backend"
done
"$asmlp" info $model --json >info.json 2>log || fail "info"

# Two images of an odd size.
python3 - <<'PYTHON'
import array, json, random, struct
random.seed(1)
values = array.array("f", (random.gauss(0, 1) for _ in range(2 * 13 * 17)))
header = json.dumps({"input": {"dtype": "F32", "shape": [2, 1, 13, 17],
                               "data_offsets": [0, 4 * len(values)]}}).encode()
open("x.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + values.tobytes())
PYTHON
for backend in native torch; do
  "$asmlp" forward --model $model --backend $backend --threads 1 --input x.safetensors \
    --output $backend.safetensors 2>log || fail "forward --backend $backend"
done

code=0; "$asmlp" validate grays --model $model --backend torch --isa avx2 2>log || code=$?
[[ $code == 2 ]] && grep -q -- "--isa avx2" log || fail "--isa with LibTorch: exit code $code"

python3 - <<'PYTHON'
import array, json, struct
def tensors(path):
    data = open(path, "rb").read()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    header.pop("__metadata__")
    return {name: (t["shape"], array.array("f", data[end + t["data_offsets"][0]:
                                                     end + t["data_offsets"][1]]))
            for name, t in header.items()}

native, torch = (json.load(open(f"{b}.json")) for b in ("native", "torch"))
assert list(native) == list(torch), (list(native), list(torch))
own = {"backend", "isa", "seconds", "images_per_second", "peak_memory_bytes"}
rounded = {"loss", "ece", "confidence"}
for key in native:
    assert key in own | rounded or native[key] == torch[key], (key, native[key], torch[key])
assert (native["backend"], torch["backend"]) == ("native", "torch")
for key in rounded:
    assert abs(native[key] - torch[key]) < 1e-5, (key, native[key], torch[key])
trained = json.load(open("train.json"))
assert abs(trained["last_top1"] - torch["top1"]) < 1e-9, (trained, torch["top1"])
assert torch["top1"] > 50, torch["top1"]  # four classes

a, b = tensors("native.safetensors"), tensors("torch.safetensors")
assert a.keys() == b.keys() == {"logits", "feature.0", "feature.1", "feature.2"}, a.keys()
for name in a:
    assert a[name][0] == b[name][0], name
    largest = max(abs(v) for v in b[name][1])
    error = max(abs(v - w) for v, w in zip(a[name][1], b[name][1])) / largest
    assert error < 1e-5, (name, error)

origin = json.load(open("info.json"))["model"]["origin"]
assert origin["command"] == ("asmlp train --config ../recipe.yaml --output run --epochs 2 --json"), \
    origin
assert origin["dataset"] == "grays" and origin["seed"] == "42" and origin["epochs"] == "2 of 2", origin
assert "asmlp " in origin["source"], origin
print("both backends agree")
PYTHON
