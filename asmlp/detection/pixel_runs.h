// Masks of large images as runs of pixels, which are moved, compared, and joined without a bitmap.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/detection/box.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp::detect {

// A rectangle of an image, in pixels.
struct Tile {
  int top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Tile&) const = default;
};

// Pixels [begin, end) of an image, column by column, each from top to bottom.
struct PixelRun {
  int64_t begin = 0, end = 0;
  bool operator==(const PixelRun&) const = default;
};
// In ascending order and apart from each other; none reaches beyond its column.
using PixelRuns = std::vector<PixelRun>;

// The runs of the mask of a tile in an image of `image_height` rows, in which the tile lies.
// Error(kBadFormat) when the counts do not add up to the pixels of the mask.
PixelRuns runs_in_image(const MaskRle& mask, const Tile& tile, int64_t image_height);

int64_t pixels_of(const PixelRuns& runs);
int64_t common_pixels(const PixelRuns& a, const PixelRuns& b);
// The pixels that lie in the rectangle.
int64_t pixels_inside(const PixelRuns& runs, const Tile& tile, int64_t image_height);
PixelRuns joined(const PixelRuns& a, const PixelRuns& b);

// As a mask of the image; its sides are at most kMaxMaskSide.
MaskRle mask_of(const PixelRuns& runs, ImageSize image);

}  // namespace asmlp::detect
