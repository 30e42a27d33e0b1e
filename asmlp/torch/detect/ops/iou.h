// How much boxes overlap. Both guard their divisions with 1e-6 square pixels.
#pragma once

#include <torch/torch.h>

namespace asmlp::detect {

// Intersection over max(union, 1e-6) of every box of `a` (N x 4) with every one of `b` (M x 4):
// N x M, no gradient. The same two boxes always give the same bits, in either order. Needs little
// memory beside the result; fast when M is the larger.
torch::Tensor pairwise_iou(const torch::Tensor& a, const torch::Tensor& b);

// Generalized IoU (Rezatofighi et al., CVPR 2019) of row i of `a` with row i of `b` (both N x 4): N
// values in [-1, 1], differentiable. With u = max(union, 1e-6) and e = max(area of the smallest box
// around both, 1e-6) it is intersection / u - (e - u) / e.
torch::Tensor generalized_iou(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace asmlp::detect
