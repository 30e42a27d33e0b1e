// detection/proposals.h on tensors.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/detection/proposals.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

struct ProposedRois {
  torch::Tensor boxes;   // n x 4
  torch::Tensor scores;  // n, descending
};

// `logits[l]` (A_l values), `deltas[l]` (A_l x 4) and `anchors[l]` (A_l x 4) of one image, one
// entry per level, in the order of anchors.h, on one device. No gradient.
ProposedRois propose(const std::vector<torch::Tensor>& logits,
                     const std::vector<torch::Tensor>& deltas,
                     const std::vector<torch::Tensor>& anchors, const BoxCoder& coder,
                     ImageSize image, const ProposalConfig& config);

}  // namespace asmlp::detect
