#include "asmlp/torch/detect/ops/assigner.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/torch/detect/ops/iou.h"
#include "tests/support/boxes.h"

namespace asmlp::detect::assigner_test {
namespace {

const MatchConfig kRpnMatch = RpnConfig{}.match;

// The definition, in plain loops over the whole matrix.
std::vector<int64_t> reference(const torch::Tensor& boxes, const torch::Tensor& gts,
                               const MatchConfig& config) {
  const auto iou = pairwise_iou(gts, boxes);
  const auto at = [&](int64_t gt, int64_t box) { return iou[gt][box].item<float>(); };
  std::vector<int64_t> result(boxes.size(0), kIgnored);
  for (int64_t box = 0; box < boxes.size(0); ++box) {
    float best = 0;
    int64_t which = 0;
    for (int64_t gt = 0; gt < gts.size(0); ++gt) {
      if (at(gt, box) > best) best = at(gt, box), which = gt;
    }
    if (best < static_cast<float>(config.negative_iou)) result[box] = kNegative;
    if (best >= static_cast<float>(config.positive_iou)) result[box] = which;
  }
  if (!config.low_quality) return result;
  for (int64_t gt = 0; gt < gts.size(0); ++gt) {
    const float best = boxes.size(0) ? iou[gt].max().item<float>() : 0;
    if (best < static_cast<float>(config.minimum_iou)) continue;
    for (int64_t box = 0; box < boxes.size(0); ++box) {
      if (at(gt, box) == best) result[box] = gt;
    }
  }
  return result;
}

// Coordinates on a coarse grid, so that exact ties are frequent.
TEST(Assigner, IsItsDefinition) {
  std::mt19937 random(11);
  torch::manual_seed(11);
  for (int i = 0; i < 60; ++i) {
    const auto boxes = random_boxes(random() % 80, 12, 1 + i % 3);
    const auto gts = random_boxes(random() % 12, 12, 1 + i % 3);
    MatchConfig config = kRpnMatch;
    if (i % 2) config = MatchConfig{};
    if (i % 5 == 0) config.low_quality = false;
    const auto assigned = assign(boxes, gts, config);
    EXPECT_TRUE(assigned.gt.equal(torch::tensor(reference(boxes, gts, config), torch::kInt64)))
        << "seed 11, case " << i;
    if (gts.size(0) > 0 && boxes.size(0) > 0) {
      EXPECT_TRUE(assigned.iou.equal(pairwise_iou(gts, boxes).amax(0)));
    }
  }
}

TEST(Assigner, ByHand) {
  const auto gts = boxes_of({0, 0, 10, 10, 20, 0, 30, 10, 21, 0, 31, 10});
  const auto boxes = boxes_of({
      0,  0, 10, 8,   // 0.8 of the first
      0,  0, 10, 5,   // 0.5: neither
      0,  0, 10, 2,   // 0.2: negative
      25, 0, 35, 10,  // 1/3 of the second, 3/7 of the third
      15, 0, 25, 10,  // 1/3 of the second, which so has two best boxes
  });
  MatchConfig config = kRpnMatch;
  EXPECT_TRUE(assign(boxes, gts, config).gt.equal(indices_of({0, kIgnored, kNegative, 2, 1})));
  config.minimum_iou = 0.4;
  EXPECT_TRUE(
      assign(boxes, gts, config).gt.equal(indices_of({0, kIgnored, kNegative, 2, kIgnored})));
  config.low_quality = false;
  EXPECT_TRUE(assign(boxes, gts, config)
                  .gt.equal(indices_of({0, kIgnored, kNegative, kIgnored, kIgnored})));
  // A later ground truth takes a box from an earlier one, also from a far better match.
  const auto nested = boxes_of({0, 0, 10, 10, 0, 0, 10, 4});
  EXPECT_TRUE(assign(boxes.slice(0, 0, 1), nested, kRpnMatch).gt.equal(indices_of({1})));
}

TEST(Assigner, WithoutGroundTruthsAllIsNegative) {
  const auto assigned = assign(random_boxes(5, 10, 1), torch::zeros({0, 4}), kRpnMatch);
  EXPECT_TRUE(assigned.gt.equal(torch::full({5}, kNegative, torch::kInt64)));
  EXPECT_TRUE(assigned.iou.equal(torch::zeros({5})));
}

// More pairs than one block holds.
TEST(Assigner, ManyBoxesAreAssignedAsFewAre) {
  torch::manual_seed(12);
  const auto gts = random_boxes(40, 800, 0.5);
  const auto boxes = random_boxes(30000, 800, 0.5);
  MatchConfig config = kRpnMatch;
  config.low_quality = false;
  const auto all = assign(boxes, gts, config);
  for (int64_t begin : {0, 6000, 25000}) {
    const auto part = assign(boxes.slice(0, begin, begin + 5000), gts, config);
    EXPECT_TRUE(part.gt.equal(all.gt.slice(0, begin, begin + 5000)));
  }
  // Every best match is among the positives, wherever its block is.
  const auto matched = assign(boxes, gts, kRpnMatch).gt;
  const auto iou = pairwise_iou(gts, boxes);
  for (int64_t gt = 0; gt < gts.size(0); ++gt) {
    const auto [best, where] = iou[gt].max(0);
    if (best.item<float>() < 0.3f) continue;
    EXPECT_GE(matched[where.item<int64_t>()].item<int64_t>(), 0);
  }
}

}  // namespace
}  // namespace asmlp::detect::assigner_test
