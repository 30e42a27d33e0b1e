// What a region proposal network proposes for one image.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/torch/detect/ops/box_coder.h"

namespace asmlp::detect {

struct ProposalOptions {
  int64_t per_level = 2000;    // best anchors of a level that are decoded (1000 in a test)
  double iou_threshold = 0.7;  // of the suppression within a level
  int64_t per_image = 1000;    // proposals in the end (2000 for training a cascade)
  double min_size = 0;         // pixels: narrower or lower boxes are dropped before that; 0: none
};

struct Proposals {
  torch::Tensor
      boxes;  // n x 4, clipped to the image; boxes of no area stay unless min_size drops them
  torch::Tensor scores;  // n, descending
};

// `logits[l]` (A_l values), `deltas[l]` (A_l x 4) and `anchors[l]` (A_l x 4) of one image, one
// entry per level, in the order of anchors.h: the best of each level by their sigmoid score,
// decoded and clipped to `image` (without the padding), suppressed level by level, the best of all.
// No gradient.
Proposals propose(const std::vector<torch::Tensor>& logits,
                  const std::vector<torch::Tensor>& deltas,
                  const std::vector<torch::Tensor>& anchors, const BoxCoder& coder, ImageSize image,
                  const ProposalOptions& options);

}  // namespace asmlp::detect
