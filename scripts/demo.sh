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
street=tests/data/photos/china.jpg
if [[ ${#photos[@]} -eq 0 ]]; then photos=(tests/data/photos); else street=${photos[0]}; fi

scripts/install_deps.sh --torch-free
scripts/build.sh release asmlp
mkdir -p out
rm -rf out/photos.png out/cam out/segments out/detections

echo
echo "== What is it? A classifier of ten kinds of things: what it does not know, it should doubt"
$asmlp predict "${photos[@]}" --topk 2 --sheet out/photos.png --cam out/cam

echo
echo "== Which pixel is what? A segmentor of streets"
$asmlp segment "$street" --output out/segments

echo
echo "== What is where? A detector of blood cells (in a photo of anything else it should find none)"
$asmlp detect "${photos[@]}" --threshold 0.5 --output out/detections

cat <<NEXT

Pictures to look at, in $PWD/out:
  photos.png                 what the classifier saw, and what it says
  cam/*.cam.png              where the evidence is
  segments/*.segments.png    a class for every pixel
  detections/*               the boxes

Try next:
  scripts/demo.sh YOUR_PHOTO.jpg...                the same for your photos
  $asmlp info --list                               the published models
  $asmlp bench --task detect                       the time of every part of Mask R-CNN T
  $asmlp --help
With LibTorch (about 1 GB installed: scripts/install_deps.sh && scripts/build.sh) train your own:
  $asmlp train --config recipes/fashion_nano.yaml --output out/fashion_nano    ten kinds of clothes, in minutes
  $asmlp train PHOTOS/ --model models/asmlp_imagenette.safetensors --output out/mine    folders of your photos
NEXT
