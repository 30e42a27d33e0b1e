#!/bin/bash
# From a fresh clone to a result: installs what is missing (no LibTorch, no training), builds the
# command, evaluates the bundled model on the 10,000 Fashion-MNIST test images and draws the result.
set -euo pipefail
cd "$(dirname "$0")/.."

data=/usr/share/datasets/fashion-mnist
model=models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors
picture=out/fashion_mnist.png

scripts/install_deps.sh --torch-free
scripts/build.sh release asmlp
mkdir -p out

echo
echo "== $model on the Fashion-MNIST test images"
build/bin/asmlp validate "$data" --model "$model" --sheet "$picture"

cat <<NEXT

The picture, with predictions and the confusion matrix:  $PWD/$picture

Try next:
  build/bin/asmlp info --list                              the published models
  build/bin/asmlp info $model
  build/bin/asmlp predict IMAGE... --model $model --topk 3 --cam out/cam
  build/bin/asmlp --help
With LibTorch (about 1 GB installed: scripts/install_deps.sh && scripts/build.sh) find objects in
synthetic scenes with the bundled detector, and train the model above yourself:
  build/bin/asmlp dataset scenes -o out/scenes --train 1 --val 8
  build/bin/asmlp detect out/scenes/val2017 --output out/detections
  build/bin/asmlp train --config recipes/fashion_nano.yaml --output out/fashion_nano
NEXT
