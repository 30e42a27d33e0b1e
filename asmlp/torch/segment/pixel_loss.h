// The cross entropy of a head's logits resized to the labels, computed row by row: the resized
// logits, 4 * classes bytes for each pixel of the labels, never exist. On CPU, where they and their
// gradients would be most of the memory and a quarter of the time of a small model's step.
#pragma once

#include <torch/torch.h>

namespace asmlp::segment {

struct PixelLoss {
  torch::Tensor sum;    // fp32 scalar: of weight[label] * cross entropy, over the pixels counted
  int64_t right = 0;    // pixels counted for whose label no class has a larger logit
  int64_t counted = 0;  // pixels whose label is not `ignored`
};

// `logits` N x C x h x w, fp32, on CPU: resized to the labels' H x W (bilinear, corners not
// aligned). `labels` N x H x W, uint8. `weights`: of the C classes, fp32, or undefined for 1.
// Gradients flow into `logits`, once: not gradients of gradients. The result does not depend on the
// number of threads. Error(kInvalidArgument) for a label that is neither `ignored` nor below C.
PixelLoss pixel_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                     const torch::Tensor& weights, int ignored);

}  // namespace asmlp::segment
