# Sourced by the training tests: $asmlp, $work (a folder that goes away), a small data set and recipe,
# and `train NAME ARGUMENT...`. VALIDATION_IMAGES: how many there are.
set -euo pipefail
asmlp=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  [[ -f $work/log ]] && tail -n 20 "$work/log" >&2
  exit 1
}

# 384 + 64 images of 16 x 16: noise whose brightness is the class.
python3 - "$work/grays" "${VALIDATION_IMAGES:-64}" <<'PYTHON'
import pathlib, random, struct, sys
folder = pathlib.Path(sys.argv[1])
folder.mkdir()
random.seed(7)
for prefix, count in (("train", 384), ("t10k", int(sys.argv[2]))):
    labels = bytes(i % 4 for i in range(count))
    pixels = bytearray()
    for label in labels:
        pixels += bytes(random.randrange(100) + 50 * label for _ in range(256))
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(
        struct.pack(">4I", 0x803, count, 16, 16) + pixels)
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels)
PYTHON

cat >"$work/recipe.yaml" <<'YAML'
data: ../grays
model:
  name: small
  config: {in_chans: 1, embed_dim: 16, depths: [1, 1], patch_size: 2, drop_path: 0.2}
  preprocessing: {size: 16, crop_pct: 1, mean: [0.4], std: [0.3]}
epochs: 4
batch_size: 16
lr: 2e-3
warmup_epochs: 1
crop_padding: 2
hflip: 0
aa: ""  # brightness is the class
color_jitter: 0
reprob: 0.2
mixup: 0
cutmix: 0
model_ema: true
model_ema_decay: 0.95
threads: 1
workers: 1
checkpoint_interval: 7
log_interval: 1
YAML

# Trains in $work/NAME/run. The paths are relative, so that every run has the same command line.
train() {
  mkdir -p "$work/$1"
  cd "$work/$1"
  exec "$asmlp" train --config ../recipe.yaml --output run "${@:2}"
}
