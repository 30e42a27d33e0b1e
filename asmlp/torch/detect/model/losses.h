// The losses of Mask R-CNN (He et al., ICCV 2017) and Cascade Mask R-CNN, and the targets of the
// region proposal network. Logits and offsets in half precision are widened to fp32. Where nothing
// is selected (no positives, no RoIs) a loss is 0 and still depends on its inputs: their gradient
// is 0, not missing.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/torch/detect/ops/box_coder.h"
#include "asmlp/torch/detect/ops/sampler.h"

namespace asmlp::detect {

struct ClassAndBoxLoss {
  torch::Tensor classes, boxes;  // scalars
};

// What the anchors of one image are trained for.
struct RpnTargets {
  Sample sample;      // indices among all anchors of the image
  torch::Tensor gts;  // P x 4: ground truth of each positive
};

// Assigns the anchors (A x 4, all levels) that are `usable` (bool, A) to `gts` (G x 4) and samples
// them.
RpnTargets rpn_targets(const torch::Tensor& anchors, const torch::Tensor& usable,
                       const torch::Tensor& gts, const MatchConfig& match,
                       const SampleConfig& sampling, data::Random& random);

// `logits` B x A, `deltas` B x A x 4, `anchors` A x 4, one entry of `targets` per image. With
// N = sum over the images of max(#positive, 1) + max(#negative, 1): binary cross entropy of the
// sampled anchors / N, and the box loss of the positive ones, summed over coordinates, / N.
ClassAndBoxLoss rpn_losses(const torch::Tensor& logits, const torch::Tensor& deltas,
                           const torch::Tensor& anchors, const std::vector<RpnTargets>& targets,
                           const BoxLossConfig& config, const BoxCoder& coder);

// `logits` R x (K + 1), `deltas` R x 4K (class-major), for the RoIs of all images one after the
// other as sampled: cross entropy / R, and the box loss of the positives with the deltas of their
// class, summed over coordinates, / R.
ClassAndBoxLoss box_head_losses(const torch::Tensor& logits, const torch::Tensor& deltas,
                                const std::vector<SampledRois>& images, const BoxLossConfig& config,
                                const BoxCoder& coder);

// `logits` P x K x h x w of the positive RoIs, `labels` int64, P, `targets` P x h x w of 0 and 1:
// binary cross entropy of the label's channel, mean over P * h * w.
torch::Tensor mask_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                        const torch::Tensor& targets);

}  // namespace asmlp::detect
