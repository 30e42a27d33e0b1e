// Greedy non-maximum suppression. The boxes are compared in fp32 on the CPU, wherever they are.
#pragma once

#include <torch/torch.h>

namespace asmlp::detect {

constexpr int64_t kKeepAll = -1;

// Indices (int64) of the boxes that are kept, in descending order of score, equal scores in order
// of index: a box is dropped when its IoU with one that is kept before it is > threshold (not >=).
// The IoU is intersection / union without a guard; two boxes of no area (0 / 0) never suppress each
// other. `boxes` N x 4, `scores` N. Stops after `limit` boxes unless that is kKeepAll.
torch::Tensor nms(const torch::Tensor& boxes, const torch::Tensor& scores, double threshold,
                  int64_t limit = kKeepAll);

// The same among the boxes of equal class (`classes`: int64, N, >= 0) only. As in the authors' code
// the boxes of class c are moved by c * (largest coordinate + 1) in fp32, which rounds them; from
// 10000 boxes on each class is then treated by itself, which keeps the same boxes if no coordinate
// is negative, as clipped boxes have it.
torch::Tensor batched_nms(const torch::Tensor& boxes, const torch::Tensor& scores,
                          const torch::Tensor& classes, double threshold, int64_t limit = kKeepAll);

}  // namespace asmlp::detect
