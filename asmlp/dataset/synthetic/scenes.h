// A data set of synthetic scenes, to try detection and segmentation without COCO and ADE20K.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/synthetic/scene.h"

namespace asmlp {

struct ScenesOptions {
  SceneOptions scene;
  // Fewest and most items of a training image where they are others than `scene` says: fuller
  // images teach more per pixel.
  std::optional<std::pair<int, int>> train_items;
  int64_t train = 4000, val = 500;  // images, 1..1,000,000 each
  uint64_t seed = 0;
  int crops = 0;    // side in pixels of a picture of each object, 8..512; 0: none
  int threads = 0;  // 0: all cores
};

struct ScenesReport {
  struct OfSplit {
    int64_t images = 0;
    int64_t objects = 0;  // labeled ones
    int64_t hidden = 0;   // items left out because too little of them would have been seen
    int64_t empty = 0;    // images without any object
  };
  std::array<OfSplit, 2> splits;  // train, val
  std::vector<std::string> classes;
};

// Called on the calling thread now and then with the number of images written so far.
using ScenesProgress = std::function<void(int64_t done)>;

// Makes scenes (scene.h) of the items of an IDX data set in the folder `items` and writes them to
// the folder `output` in the formats of both COCO and ADE20K:
//   train2017/000000000001.jpg, val2017/...         images, JPEG of quality 90
//   annotations/instances_{train,val}2017.json      boxes and masks; category ids are 1..N
//   images/{training,validation}/ADE_train_00000001.jpg, ADE_val_...   the same files (hard links,
//                                                   or copies where there are none)
//   annotations/{training,validation}/ADE_...png    8-bit labels: 1 background, 2..N + 1 the items
//   objectInfo<N + 1>.txt                           the classes, as ade20k.h reads them
//   crops/{train,val}/CLASS/000000000001_1.png      with `crops`: each object in a square picture
//   of
//                                                   its own, of that side
// A crop is the square about the middle of the object's box with 1.2 times its longer side, moved
// into the image where it would stick out (and no larger than the image); '/' in a class is '-' in
// the folder's name. Classes without an object have a folder, too.
// Masks are run lengths that are not compressed, {"size", "counts": [...]}, iscrowd 0. Each
// annotation has one more entry, "item", the item's index in its split; annotations of an image go
// from the front to the back. Training images hold items of the training split only, validation
// images of the test split only.
//
// Everything is a function of the items and the options but `threads`, to the byte. The folder
// appears under its name when it is whole (core/growing_folder.h). Errors: kInvalidArgument when
// `output` exists or an option is outside its range; kUnsupported for more than 100 classes;
// kMismatch when the splits have different ones; kIo; and those of open_idx and make_scene.
ScenesReport write_scenes(const std::filesystem::path& items, const std::filesystem::path& output,
                          const ScenesOptions& options, const ScenesProgress& progress = {});

}  // namespace asmlp
