// Boxes as offsets from other boxes (Girshick et al., CVPR 2014, appendix C).
#pragma once

#include <torch/torch.h>

#include <array>
#include <cmath>
#include <optional>

#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

// Decoding lets dw and dh grow or shrink a box by a factor of 1000 / 16 at most; dx and dy have no
// limit.
inline const double kMaxLogRatio = -std::log(16.0 / 1000);  // 4.135166556742356

// Offsets are dx, dy in widths and heights of the box, dw, dh as logarithms of the ratio of sizes;
// a network learns (offset - mean) / std.
struct BoxCoder {
  std::array<float, 4> means{0, 0, 0, 0};
  std::array<float, 4> stds{1, 1, 1, 1};
  double max_log_ratio = kMaxLogRatio;
};

// The offsets that turn `boxes` (N x 4) into `targets` (N x 4): N x 4. Boxes of no width or height
// have none (infinite or NaN).
torch::Tensor encode(const BoxCoder& coder, const torch::Tensor& boxes,
                     const torch::Tensor& targets);

// The boxes that `deltas` (N x 4K, class-major: K boxes per row) make of `boxes` (N x 4): N x 4K,
// differentiable with respect to both. With `clip`, x is clamped to [0, width] and y to [0,
// height].
torch::Tensor decode(const BoxCoder& coder, const torch::Tensor& boxes, const torch::Tensor& deltas,
                     std::optional<ImageSize> clip = std::nullopt);

// Row i of `values` (N x 4K) of class classes[i] (int64, N): N x 4, differentiable.
torch::Tensor of_class(const torch::Tensor& values, const torch::Tensor& classes);

}  // namespace asmlp::detect
