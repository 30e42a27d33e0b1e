// Which ground truth a box is trained for, by the largest IoU.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/detector_config.h"

namespace asmlp::detect {

// The two values of Assignment::gt that are no index.
constexpr int64_t kNegative = -1, kIgnored = -2;

struct Assignment {
  torch::Tensor gt;   // int64, N: index of the ground truth, kNegative or kIgnored
  torch::Tensor iou;  // N: with the ground truth that overlaps most
};

// Assigns `boxes` (N x 4) to `gts` (G x 4). A box overlapping two ground truths equally belongs to
// the first. With config.low_quality, after that: for each ground truth in order whose largest IoU
// is at least minimum_iou, every box that has exactly this IoU with it is assigned to it, whatever
// it was assigned to before. Without ground truths all boxes are negative. Memory is of the order
// of N + G.
Assignment assign(const torch::Tensor& boxes, const torch::Tensor& gts, const MatchConfig& config);

}  // namespace asmlp::detect
