// detection/box_coder.h on tensors, with gradients.
#pragma once

#include <torch/torch.h>

#include <optional>

#include "asmlp/detection/box_coder.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

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
