// The logits of a picture, whole or from overlapping windows, a band of rows at a time.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/segmentation/window.h"
#include "asmlp/torch/segment/band_resize.h"
#include "asmlp/torch/segment/segmentor_net.h"

namespace asmlp::segment {

// Runs the network on the windows when their rows are asked for, and keeps what they give on the
// network's finest map, a sixteenth of the pixels, until their rows have passed.
class WindowLogits {
 public:
  // `picture` in the size that the network is to see, RGB; each window is normalized and, where
  // input.pad_multiple says so, padded by itself. Without `window` there is one, the picture. `net`
  // must be in evaluation mode and outlive this.
  WindowLogits(SegmentorNetImpl& net, Image picture, const DenseInput& input,
               const std::optional<SlidingWindow>& window);

  int64_t height() const { return picture_.height; }
  int64_t width() const { return picture_.width; }

  // num_classes x wanted.count() x width(), fp32, on the CPU: of each window resized (bilinear,
  // corners not aligned) to its pixels, the mean over the windows that see a pixel. `wanted` must
  // not begin above a former call's.
  torch::Tensor rows(Rows wanted);

 private:
  struct Window {
    Rows rows, columns;         // of the picture
    int64_t padded_height = 0;  // of the network's input
    int64_t padded_width = 0;
    torch::Tensor logits;  // num_classes x h x w
  };
  Window run(Rows rows, Rows columns);
  torch::Tensor part(const Window& window, Rows wanted) const;

  SegmentorNetImpl* net_;
  Image picture_;
  DenseInput input_;
  std::vector<Rows> tops_, lefts_;  // of all windows
  size_t next_top_ = 0;             // of the first row of windows that has not been run
  std::deque<Window> windows_;      // in the order in which they were run
};

}  // namespace asmlp::segment
