// The random choice of boxes to train with.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/detect/ops/assigner.h"

namespace asmlp::detect {

// Indices of boxes, int64, each ascending.
struct Sample {
  torch::Tensor positives;
  torch::Tensor negatives;
};

// Chooses min(#positive, count * positive_fraction, rounded down) of the boxes with gt >= 0 and
// fills up to `count` with boxes that are kNegative, as far as there are any; every subset is
// equally likely. `gt` is Assignment::gt. The numbers come from `random` only, positives first: the
// same generator gives the same boxes.
Sample sample(const torch::Tensor& gt, const SampleConfig& config, data::Random& random);

// RoIs of one image to train a head with: P positives in index order, then the negatives.
struct SampledRois {
  torch::Tensor boxes;     // R x 4
  torch::Tensor labels;    // int64, R: class of the ground truth, `background` for negatives
  torch::Tensor gt;        // int64, P: ground truth of each positive
  torch::Tensor gt_boxes;  // P x 4
  torch::Tensor is_gt;     // bool, P: the RoI is a ground truth that was added as a proposal
  int64_t positives() const { return gt.size(0); }
  torch::Tensor positive_boxes() const { return boxes.slice(0, 0, positives()); }
};

// Assigns `proposals` (N x 4) to `gts` (G x 4, classes `gt_labels`: int64, G, in [0, background))
// and samples them. With sampling.add_truths the ground truths are proposals too, before all
// others, each assigned to itself.
SampledRois sample_rois(const torch::Tensor& proposals, const torch::Tensor& gts,
                        const torch::Tensor& gt_labels, int64_t background,
                        const MatchConfig& match, const SampleConfig& sampling,
                        data::Random& random);

}  // namespace asmlp::detect
