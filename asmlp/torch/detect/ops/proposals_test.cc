#include "asmlp/torch/detect/ops/proposals.h"

#include <gtest/gtest.h>

#include "asmlp/torch/detect/ops/box_coder.h"
#include "asmlp/torch/detect/ops/nms.h"
#include "tests/support/boxes.h"

namespace asmlp::detect::proposals_test {
namespace {

TEST(Proposals, ByHand) {
  // Two levels; the first has 3 anchors, of which the best two stay.
  const std::vector<torch::Tensor> anchors{boxes_of({0, 0, 10, 10, 0, 0, 10, 9, 50, 50, 60, 60}),
                                           boxes_of({0, 0, 10, 10})};
  const std::vector<torch::Tensor> logits{values_of({1, 2, -3}), values_of({0})};
  std::vector<torch::Tensor> deltas{torch::zeros({3, 4}), torch::zeros({1, 4})};
  // Anchors 0 and 1 of level 0 overlap by 0.9; the one of level 1 equals anchor 0, and is let be.
  auto found = propose(logits, deltas, anchors, {}, {100, 100}, {.before_nms = 2});
  EXPECT_TRUE(found.boxes.equal(boxes_of({0, 0, 10, 9, 0, 0, 10, 10})));
  // LibTorch's exp() rounds otherwise.
  EXPECT_LT(max_difference(found.scores, torch::sigmoid(values_of({2, 0}))), 2e-7);
  // All three of level 0, the best two of all in the end.
  found = propose(logits, deltas, anchors, {}, {100, 100}, {});
  EXPECT_EQ(found.boxes.size(0), 3);
  found = propose(logits, deltas, anchors, {}, {100, 100}, {.kept = 2});
  EXPECT_LT(max_difference(found.scores, torch::sigmoid(values_of({2, 0}))), 2e-7);
  // Clipped before the suppression: both reach over the lower edge and become equal, then.
  deltas[0][0][3] = deltas[0][1][3] = 3;
  found = propose(logits, deltas, anchors, {}, {8, 100}, {.nms_iou = 0.99});
  EXPECT_TRUE(found.boxes[0].equal(values_of({0, 0, 10, 8})));
  EXPECT_EQ(found.boxes.size(0), 3);  // 1 of level 0, the degenerate third, 1 of level 1
  EXPECT_TRUE(found.boxes[2].equal(values_of({50, 8, 60, 8})));
}

// The parts put together anew, on random levels.
TEST(Proposals, AreTheBestOfEveryLevel) {
  torch::manual_seed(41);
  std::vector<torch::Tensor> logits, deltas, anchors;
  std::vector<torch::Tensor> boxes, scores, levels;
  const BoxCoder coder;
  const ImageSize image{90, 120};
  for (int64_t level = 0; level < 3; ++level) {
    const int64_t count = 400 >> (2 * level);
    logits.push_back(torch::randn({count}).requires_grad_());
    deltas.push_back(torch::randn({count, 4}) * 0.3);
    anchors.push_back(random_boxes(count, 100, 1) + values_of({0, 0, 8, 8}));
    const auto [top, index] = torch::sigmoid(logits.back()).topk(std::min<int64_t>(50, count));
    boxes.push_back(decode(coder, anchors.back().index_select(0, index),
                           deltas.back().index_select(0, index), image));
    scores.push_back(top);
    levels.push_back(torch::full({top.size(0)}, level, torch::kInt64));
  }
  const auto all = torch::cat(boxes), all_scores = torch::cat(scores);
  const auto kept = batched_nms(all, all_scores, torch::cat(levels), 0.7).slice(0, 0, 60);
  const auto found = propose(logits, deltas, anchors, coder, image, {50, 60, 0.7});
  // LibTorch's exp() may round otherwise: by 2^-24 of 120 pixels, a few times.
  EXPECT_LT(max_difference(found.boxes, all.index_select(0, kept)), 120 * 4 * 6e-8);
  EXPECT_LT(max_difference(found.scores, all_scores.index_select(0, kept)), 2e-7);
  EXPECT_FALSE(found.boxes.requires_grad());
  EXPECT_FALSE(found.scores.requires_grad());
}

TEST(Proposals, RefuseWhatDoesNotFit) {
  const std::vector<torch::Tensor> one{torch::zeros({2, 4})};
  EXPECT_THROW(propose({}, {}, {}, {}, {9, 9}, {}), Error);
  EXPECT_THROW(propose({torch::zeros({3})}, one, one, {}, {9, 9}, {}), Error);
  EXPECT_THROW(propose({torch::zeros({2})}, one, one, {}, {9, 9}, {.before_nms = 0}), Error);
  EXPECT_THROW(propose({torch::zeros({2})}, {torch::zeros({2, 8})}, one, {}, {9, 9}, {}), Error);
}

}  // namespace
}  // namespace asmlp::detect::proposals_test
