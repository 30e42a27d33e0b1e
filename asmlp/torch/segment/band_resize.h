// Resizing of large maps band by band, so that the whole result is never in memory.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "asmlp/segmentation/window.h"

namespace asmlp::segment {

// The rows of a map of `height` rows that the rows `wanted` of its resizing to `new_height` need.
Rows source_rows(int64_t height, int64_t new_height, Rows wanted);

// Where a band comes from and where it goes.
struct BandResize {
  int64_t height = 0;      // of the whole map
  int64_t new_height = 0;  // of the whole result
  int64_t new_width = 0;
};

// The rows `wanted`, C x wanted.count() x new_width, of the bilinear resizing (corners not aligned)
// of a map of which `band`, C x n x width, fp32, holds the rows from `first` on: those of
// source_rows at least. They are what torch::upsample_bilinear2d gives for the whole map, up to
// rounding.
torch::Tensor resized_rows(const torch::Tensor& band, int64_t first, const BandResize& resize,
                           Rows wanted);

}  // namespace asmlp::segment
