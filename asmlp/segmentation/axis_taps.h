// How the pixels of an image depend on the network's maps, along one axis.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/segmentation/window.h"

namespace asmlp::segment {

// Pixel i is the sum of weight[k] * cell index[k] for k in [begin[i], begin[i + 1]); weights are
// above 0 and add up to 1, indices ascend.
struct AxisTaps {
  std::vector<int32_t> begin{0};
  std::vector<int32_t> index;
  std::vector<float> weight;

  int32_t count(int64_t pixel) const {
    return begin[static_cast<size_t>(pixel) + 1] - begin[static_cast<size_t>(pixel)];
  }
};

// An axis of a view: `length` pixels, seen by windows, each of which is padded to `padded` pixels
// that the network makes `cells` of. The cells of all windows stand one after the other, in the
// order of the windows.
struct ViewAxis {
  int64_t length = 0;
  std::vector<Rows> windows;  // at least one; they cover the view
  int64_t padded = 0;
  int64_t cells = 0;  // of one window
};

// The pixels of an axis of `image_length`: the windows' cells resized to their padded pixels, the
// mean over the windows that see a pixel of the view, and this resized to the image. Both are
// bilinear with corners not aligned, at LibTorch's places (torch::upsample_bilinear2d, in fp32).
AxisTaps taps_of(const ViewAxis& view, int64_t image_length);

}  // namespace asmlp::segment
