#!/usr/bin/env bash
# Installs into a temporary folder, moves it (nothing may depend on where it was), builds examples/
# against it by find_package and by pkg-config, and compares what the programs print with the
# installed command. Arguments: cmake, the project's folder, its build folder. CC, CXX and
# CMAKE_GENERATOR are the build's.
set -euo pipefail
cmake=$1 project=$2 build=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset DESTDIR ASMLP_MODEL_DIR ASMLP_PREFIX CMAKE_PREFIX_PATH

fail() {
  echo "FAILED: $*" >&2
  [[ -f $work/log ]] && tail -n 30 "$work/log" >&2
  exit 1
}

"$cmake" --install "$build" --prefix "$work/elsewhere" >"$work/log" 2>&1 || fail "cmake --install"
prefix=$work/prefix
mv "$work/elsewhere" "$prefix"
pc=$(find "$prefix" -name asmlp.pc)
for file in include/asmlp/asmlp.h include/asmlp/asmlp.hpp bin/asmlp share/doc/asmlp/{LICENSE,CHANGELOG.md} \
  share/doc/asmlp/guide/data.md share/asmlp/recipes/fashion_nano.yaml share/man/man1/asmlp.1 \
  share/man/man1/asmlp-validate.1 share/bash-completion/completions/asmlp \
  share/zsh/site-functions/_asmlp share/fish/vendor_completions.d/asmlp.fish; do
  [[ -s $prefix/$file ]] || fail "$file is not installed"
done
targets=$(find "$prefix" -name asmlpTargets.cmake)
grep -q "INTERFACE_LINK_LIBRARIES" "$targets" && fail "users would need the libraries inside"

"$cmake" -S "$project/examples" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_CXX_STANDARD=17 -DCMAKE_CXX_FLAGS="-Wall -Wextra -pedantic -Werror" \
  -DCMAKE_C_FLAGS="-Wall -Wextra -pedantic -Werror" >"$work/log" 2>&1 || fail "find_package"
"$cmake" --build "$work/build" >"$work/log" 2>&1 || fail "building examples/"
mkdir "$work/refused"
echo 'cmake_minimum_required(VERSION 3.16)
project(newer LANGUAGES CXX)
find_package(asmlp 99.0 REQUIRED)' >"$work/refused/CMakeLists.txt"
"$cmake" -S "$work/refused" -B "$work/refused/build" -DCMAKE_PREFIX_PATH="$prefix" \
  >"$work/log" 2>&1 && fail "find_package(asmlp 99.0) was satisfied"

pkg() { PKG_CONFIG_PATH=$(dirname "$pc") pkg-config "$@" asmlp; }
[[ $(readlink -f "$(pkg --variable=libdir)/libasmlp.so") == "$prefix"/* ]] ||
  fail "asmlp.pc points to $(pkg --variable=libdir)"
# shellcheck disable=SC2046  # pkg-config prints words
"$CXX" -std=c++17 "$project/examples/classify.cc" -o "$work/classify_pc" \
  $(pkg --cflags --libs) "-Wl,-rpath,$(pkg --variable=libdir)" >"$work/log" 2>&1 || fail "pkg-config"

data=$project/tests/data
model=$project/models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors
photos=("$data"/photos/*.jpg "$data"/photos/*.png)
predict() { "$prefix/bin/asmlp" predict --json --model "$model" --topk 3 "$@" 2>"$work/log"; }

# The lines "probability label" of stdin are the predictions of FILE, to the bit of a float.
# same_as_command COUNT: how many predictions of every image are printed.
same_as_command() {
  python3 -c '
import json, struct, sys
count, report = int(sys.argv[1]), json.load(open(sys.argv[2]))
def bits(x): return struct.pack("f", float(x))
expected = [(bits(p["prob"]), p["label"]) for i in report["images"] for p in i["predictions"][:count]]
found = [(bits(l.split(" ", 1)[0]), l.split(" ", 1)[1]) for l in sys.stdin.read().splitlines()]
sys.exit(0 if expected and expected == found else f"expected {expected}\nfound {found}")' "$1" "$2"
}

for photo in "${photos[@]}"; do
  predict "$photo" >"$work/one.json" || fail "asmlp predict $photo"
  for program in build/classify build/classify_c classify_pc; do
    "$work/$program" "$model" "$photo" >"$work/out" 2>"$work/log" || fail "$program $photo"
    same_as_command 3 "$work/one.json" <"$work/out" || fail "$program $photo: not the command's"
  done
  "$work/build/first" "$model" "$photo" >"$work/first" 2>"$work/log" || fail "first $photo"
  cut -d ' ' -f 2- "$work/out" | diff - "$work/first" || fail "first $photo: other classes"
done
predict "${photos[@]}" >"$work/all.json" || fail "asmlp predict"
"$work/build/batch" "$model" "${photos[@]}" >"$work/out" 2>"$work/log" || fail "batch"
same_as_command 1 "$work/all.json" <"$work/out" || fail "batch: not the command's"

"$work/build/feature_pyramid" "$model" "${photos[0]}" >"$work/out" 2>"$work/log" ||
  fail "feature_pyramid"
diff - "$work/out" <<'EXPECTED' || fail "other feature maps"
patch_embed: stride 2, 1 x 40 x 14 x 14
layers.0: stride 4, 1 x 80 x 7 x 7
layers.1: stride 8, 1 x 160 x 4 x 4
layers.2: stride 8, 1 x 160 x 4 x 4
embedding: 160 values
patch_embed: stride 2, 1 x 40 x 38 x 65
layers.0: stride 4, 1 x 80 x 19 x 33
layers.1: stride 8, 1 x 160 x 10 x 17
layers.2: stride 8, 1 x 160 x 10 x 17
EXPECTED

"$work/build/own_memory" "$model" >"$work/out" 2>"$work/log" || fail "own_memory"
[[ $(sort -u "$work/out" | wc -l) == 3 ]] || fail "own_memory: not three different results"

# Objects and regions: the same from C++, from C, and from the frames of a video, where there is
# OpenCV (a picture as a sequence of one; its JPEG decoder may differ by a unit).
scene=$data/coco_base/val2017/000000000001.jpg
"$work/build/detect" "$data/models/mask_rcnn_scenes.safetensors" "$scene" >"$work/out" 2>"$work/log" ||
  fail "detect"
grep -qE "^0\.[0-9]+ [A-Z].* at [0-9.]+, [0-9.]+ to [0-9.]+, [0-9.]+$" "$work/out" || fail "detect: no objects"
grep -qE "^[1-9][0-9]* of [1-9][0-9]+ pixels$" "$work/out" || fail "detect: no masks"
"$work/build/segment_c" "$data/models/upernet_scenes.safetensors" "$scene" >"$work/out" 2>"$work/log" ||
  fail "segment_c"
tail -n +2 "$work/out" | awk '{ sum += $1 } END { exit !(NR > 1 && sum > 0.99999 && sum < 1.00001) }' ||
  fail "segment_c: the shares do not add up to 1"
for program in build/detect build/segment_c; do
  code=0
  "$work/$program" "$model" "$scene" >"$work/out" 2>"$work/log" || code=$?
  [[ $code == 1 ]] && grep -q "the model is a classifier" "$work/log" || fail "$program takes a classifier"
done
if [[ -x $work/build/camera ]]; then
  "$work/build/camera" "$data/models/mask_rcnn_scenes.safetensors" "$scene" 1 >"$work/out" 2>"$work/log" ||
    fail "camera"
  grep -qE "^[1-9][0-9]* objects, [A-Z]" "$work/out" || fail "camera: no objects"
fi

# The authors' file, and one that does not say its shift size.
checkpoints=$data/golden/checkpoints
"$work/build/own_weights" "$checkpoints/official_legacy.pth" >"$work/out" 2>"$work/log" ||
  fail "own_weights official_legacy.pth"
"$work/build/own_weights" "$checkpoints/bare_state_dict_half.pth" 3 >"$work/out" 2>"$work/log" ||
  fail "own_weights bare_state_dict_half.pth"
grep -q "note: shift size 3 is the caller's" "$work/log" || fail "no note about the shift size"
grep -q '"shift_size":\[3,3\]' "$work/out" || fail "not the shift size that was asked for"

# An exception of the library is caught in the program, with its code and message.
for program in build/classify classify_pc; do
  code=0
  "$work/$program" "$model" /nowhere.png >"$work/out" 2>"$work/log" || code=$?
  [[ $code == 1 ]] || fail "$program with a missing image: exit code $code"
  grep -q "^not_found: .*/nowhere.png" "$work/log" || fail "$program: another message"
done

# The installed commands find what was installed with them.
"$prefix/bin/asmlp" predict --json "${photos[0]}" >"$work/out" 2>"$work/log" || fail "bundled model"
grep -q "$prefix/share/asmlp/models" "$work/out" || fail "not the installed bundled model"
if [[ -x $prefix/bin/asmlp-torch ]]; then
  (cd / && PATH=/usr/bin:/bin "$prefix/bin/asmlp" train --help) >"$work/out" 2>"$work/log" ||
    fail "the installed asmlp does not find asmlp-torch beside it"
  grep -q -- --resume "$work/out" || fail "asmlp train --help is not that of asmlp-torch"
fi
echo "installed, moved, found by find_package and pkg-config; the same bits as the command"
