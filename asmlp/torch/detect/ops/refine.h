// detection/refine.h on tensors, and the same step in training.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/detect/ops/box_coder.h"
#include "asmlp/torch/detect/ops/sampler.h"

namespace asmlp::detect {

// The RoIs of the next stage in a test: `boxes` R x 4, `logits` R x (K + 1), `deltas` R x 4K. No
// gradient.
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
