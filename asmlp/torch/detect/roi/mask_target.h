// What the mask head is trained for.
#pragma once

#include <torch/torch.h>

namespace asmlp::detect {

// `masks` uint8, G x H x W of 0 and 1: one bitmap per ground truth; `boxes` P x 4 in its pixels,
// `gt` int64, P: the ground truth of each. Every box, clipped to the bitmap, is pooled by RoIAlign
// (scale 1, adaptive samples) to size x size, and is 1 where the mean is >= 0.5, else 0: fp32,
// P x size x size. No gradient; on the CPU, result on the device of `boxes`.
torch::Tensor mask_targets(const torch::Tensor& masks, const torch::Tensor& boxes,
                           const torch::Tensor& gt, int64_t size = 28);

}  // namespace asmlp::detect
