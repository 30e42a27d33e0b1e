// detection/nms.h on tensors. The boxes are compared in fp32 on the CPU, wherever they are.
#pragma once

#include <torch/torch.h>

#include "asmlp/detection/nms.h"

namespace asmlp::detect {

// Indices (int64) of the boxes that are kept, by falling score. `boxes` N x 4, `scores` N.
torch::Tensor nms(const torch::Tensor& boxes, const torch::Tensor& scores, double threshold,
                  int64_t limit = kKeepAll);

// The same among the boxes of equal class (`classes`: int64, N, in 0..2^24 - 1) only.
torch::Tensor batched_nms(const torch::Tensor& boxes, const torch::Tensor& scores,
                          const torch::Tensor& classes, double threshold, int64_t limit = kKeepAll);

}  // namespace asmlp::detect
