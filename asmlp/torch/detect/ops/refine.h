// The step between the stages of a cascade (Cai and Vasconcelos, CVPR 2018).
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/detect/ops/box_coder.h"
#include "asmlp/torch/detect/ops/sampler.h"

namespace asmlp::detect {

// The RoIs of the next stage in a test: each of `boxes` (R x 4) moved by the deltas (R x 4K) of the
// foreground class with the largest logit (R x (K + 1), the background last does not take part),
// clipped to `image`. No gradient.
torch::Tensor refine_boxes(const BoxCoder& coder, const torch::Tensor& boxes,
                           const torch::Tensor& logits, const torch::Tensor& deltas,
                           ImageSize image);

// The proposals of the next stage in training, of one image. A positive RoI is moved by the deltas
// of its ground truth's class; RoIs that are ground truths themselves are left out, as the next
// sampler adds them again.
torch::Tensor refine_boxes(const BoxCoder& coder, const SampledRois& rois,
                           const torch::Tensor& logits, const torch::Tensor& deltas,
                           ImageSize image);

}  // namespace asmlp::detect
