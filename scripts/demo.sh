#!/bin/bash
# From a fresh clone to results: installs what is missing (no LibTorch, no training), builds the
# command, and runs models on Fashion-MNIST: the bundled classifier on its 10,000 test images, a
# detector and a segmentor of the tests on scenes made of its items.
set -euo pipefail
cd "$(dirname "$0")/.."

data=/usr/share/datasets/fashion-mnist
classifier=models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors
detector=tests/data/models/mask_rcnn_scenes.safetensors
segmentor=tests/data/models/upernet_scenes.safetensors
asmlp=build/bin/asmlp

scripts/install_deps.sh --torch-free
scripts/build.sh release asmlp
mkdir -p out
rm -rf out/scenes out/detections out/segments

echo
echo "== What is it? A classifier on the Fashion-MNIST test images"
$asmlp validate "$data" --model "$classifier" --sheet out/fashion_mnist.png

echo
echo "== What is where? A detector on a scene of such items"
$asmlp dataset scenes "$data" -o out/scenes --train 1 --val 8 --seed 1 >/dev/null
$asmlp detect out/scenes/val2017/000000000002.jpg --model "$detector" --threshold 0.5 \
  --output out/detections

echo
echo "== Which pixel is what? A segmentor on the same scene"
$asmlp segment out/scenes/images/validation/ADE_val_00000002.jpg --model "$segmentor" \
  --output out/segments

cat <<NEXT

Three pictures to look at:
  $PWD/out/fashion_mnist.png                         predictions, mistakes, confusion matrix
  $PWD/out/detections/000000000002.png               boxes and masks
  $PWD/out/segments/ADE_val_00000002.segments.png    a class for every pixel

Try next:
  $asmlp info --list                               the published models
  $asmlp predict IMAGE... --model $classifier --topk 3 --cam out/cam
  $asmlp validate out/scenes --model $detector     COCO's scores
  $asmlp bench --task detect                       the time of every part of Mask R-CNN T
  $asmlp --help
With LibTorch (about 1 GB installed: scripts/install_deps.sh && scripts/build.sh) train the first model yourself:
  $asmlp train --config recipes/fashion_nano.yaml --output out/fashion_nano
NEXT
