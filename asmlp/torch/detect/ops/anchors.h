// The anchors of detection/anchors.h as tensors.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

// level_anchors of every level, whose maps have `sizes` (in cells): (h * w * ratios) x 4 in fp32.
// Error(kInvalidArgument) unless there is one size per stride, and all are positive.
std::vector<torch::Tensor> make_anchors(const AnchorConfig& config,
                                        const std::vector<MapSize>& sizes,
                                        torch::Device device = torch::kCPU);

// Which of those anchors (all levels, one after the other) an image may be trained with: bool, one
// per anchor. Cells must lie in the first ceil(padded / stride) rows and columns, `padded` being
// this image's own padded size (a batch may be larger). With `allowed_border` >= 0 anchors must
// also stay inside of `image`, by that many pixels at most outside: x1 >= -b, y1 >= -b, x2 < width
// + b, y2 < height + b. -1 lets all of them cross the border.
torch::Tensor usable_anchors(const AnchorConfig& config, const std::vector<MapSize>& sizes,
                             const std::vector<torch::Tensor>& anchors, ImageSize padded,
                             ImageSize image, int64_t allowed_border);

// A head's output B x (anchors * values) x H x W, anchor-major, as B x (H * W * anchors) x values
// in the order of the anchors. A view where the memory is channels-last.
torch::Tensor flatten_map(const torch::Tensor& map, int64_t values);

}  // namespace asmlp::detect
