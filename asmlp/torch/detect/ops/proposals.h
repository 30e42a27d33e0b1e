// What a region proposal network proposes for one image.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/torch/detect/ops/box_coder.h"

namespace asmlp::detect {

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
                  const ProposalConfig& config);

}  // namespace asmlp::detect
