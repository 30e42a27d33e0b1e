// A made scene: gray items of a data set of the MNIST family, scaled, colored and laid over one
// another on a background, with the visible pixels of each.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/synthetic/scene_random.h"
#include "asmlp/image/image.h"
#include "asmlp/image/resize.h"

namespace asmlp {

enum class SceneFlips { kNone, kHorizontal };

struct SceneOptions {
  int height = 160, width = 160;               // 32..2048
  int min_items = 1, max_items = 6;            // 1..100, of which some may turn out to be hidden
  SceneFlips flips = SceneFlips::kHorizontal;  // of every second item
  double min_scale = 1, max_scale = 3;         // 0.1..10, of the items' sides
  double min_visible = 0.5;                    // 0..1, the part of an item that must be seen
  double clutter = 0.5;                        // 0..1, contrast of the background
};

// An item that can be seen.
struct SceneObject {
  int64_t item = 0;  // index in the data set of items
  int target = 0;    // its class there
  Window box;        // the smallest around the visible pixels
  int64_t area = 0;  // visible pixels
};

struct Scene {
  Image image;  // H x W x 3
  // H x W x 1: 0 for the background, k + 1 for the pixels of objects[k].
  Image owners;
  std::vector<SceneObject> objects;  // from the front to the back
  int hidden = 0;                    // items that were left out
};

// Makes a scene of options.height x options.width. Items are drawn from all of `items` (gray, with
// sides of at most 256 pixels) and scaled by min_scale to max_scale, the height and the width by up
// to 15 % apart, but to three quarters of the short side of the image at most (as far as min_scale
// allows). Up to about a fifth of an item's frame may be beyond the image's edge. An item of which
// less than min_visible or fewer than 20 pixels would be seen is left out altogether: it is neither
// painted nor does it hide others, so every item in the image is labeled. The background is that
// of scene_background with its differences from its mean color times `clutter`: at 1 it has the
// contrasts of the items, at 0 it is plain. The result depends on the arguments and the
// state of `random` alone. Errors: as items.get; kUnsupported for items of another kind;
// kInvalidArgument for an option outside its range.
Scene make_scene(const Dataset& items, const SceneOptions& options, SceneRandom& random);

// The opaque part of a gray item on black: 255 where the item is, else 0. That is every pixel of at
// least 24 (of 255), and the dark spots within of up to 10 pixels; larger openings (the handle of a
// bag) stay open.
Image item_mask(const Image& item);

}  // namespace asmlp
