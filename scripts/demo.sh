#!/bin/bash
# From a fresh clone to results: installs what is missing (no LibTorch, no training), builds the
# command, and runs the bundled models on photographs: those named on the command line, or seven
# that are in the repository.
set -euo pipefail

photos=()
for photo in "$@"; do
  [[ -e $photo ]] || { echo "usage: scripts/demo.sh [PHOTO...]: $photo: no such file" >&2; exit 1; }
  photos+=("$(realpath -- "$photo")")
done
cd "$(dirname "$0")/.."
asmlp=build/bin/asmlp
if [[ ${#photos[@]} -gt 0 ]]; then
  smears=("${photos[@]}")
else
  photos=(tests/data/photos) smears=(tests/data/blood_smear.png)
fi

scripts/install_deps.sh --torch-free
scripts/build.sh release asmlp
mkdir -p out
rm -rf out/photos.png out/scenes out/segments out/detections

echo
echo "== What is it? A classifier of ten kinds of things; of others it should be unsure"
$asmlp predict "${photos[@]}" --topk 1 --sheet out/photos.png

echo
echo "== What is where? A detector of blood cells under a microscope, on a drawing of some"
$asmlp detect "${smears[@]}" --threshold 0.4 --output out/detections

echo
echo "== Which pixel is what? A segmentor of clothes, on a synthetic scene of them"
$asmlp dataset scenes /usr/share/datasets/fashion-mnist -o out/scenes --train 1 --val 8 --seed 1 >/dev/null
$asmlp segment out/scenes/images/validation/ADE_val_00000002.jpg \
  --model tests/data/models/upernet_scenes.safetensors --output out/segments

cat <<NEXT

Pictures to look at, in $PWD/out:
  photos.png                 what the classifier saw, and what it says
  segments/*.segments.png    a class for every pixel
  detections/*               the boxes

Try next:
  scripts/demo.sh YOUR_PHOTO.jpg...                the same for your photos
  $asmlp info --list                               the published models
  $asmlp bench --task detect                       the time of every part of Mask R-CNN T
  $asmlp --help
With LibTorch (about 1 GB installed: scripts/install_deps.sh && scripts/build.sh) train your own:
  $asmlp train --config recipes/fashion_nano.yaml --output out/fashion_nano    ten kinds of clothes
  $asmlp train PHOTOS/ --model models/asmlp_imagenette.safetensors --output out/mine    folders of your photos
NEXT
