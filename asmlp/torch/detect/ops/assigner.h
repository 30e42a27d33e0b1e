// Which ground truth a box is trained for, by the largest IoU.
#pragma once

#include <torch/torch.h>

namespace asmlp::detect {

enum class LowQuality {
  kLeave,  // a ground truth that overlaps no box well enough stays without one
  kMatch,  // it gets the boxes with which it overlaps most
};

// The defaults are those of a region proposal network.
struct AssignOptions {
  double positive = 0.7;      // IoU from which on a box is positive
  double negative = 0.3;      // IoU below which it is negative; between the two it is ignored
  double min_positive = 0.3;  // least IoU of a match of low quality
  LowQuality low_quality = LowQuality::kMatch;
};

// The two values of Assignment::gt that are no index.
constexpr int64_t kNegative = -1, kIgnored = -2;

struct Assignment {
  torch::Tensor gt;   // int64, N: index of the ground truth, kNegative or kIgnored
  torch::Tensor iou;  // N: with the ground truth that overlaps most
};

// Assigns `boxes` (N x 4) to `gts` (G x 4). A box overlapping two ground truths equally belongs to
// the first. With kMatch, after that: for each ground truth in order whose largest IoU is at least
// min_positive, every box that has exactly this IoU with it is assigned to it, whatever it was
// assigned to before. Without ground truths all boxes are negative. Memory is of the order of N +
// G.
Assignment assign(const torch::Tensor& boxes, const torch::Tensor& gts,
                  const AssignOptions& options);

}  // namespace asmlp::detect
