#include "asmlp/torch/detect/ops/refine.h"

#include <gtest/gtest.h>

#include "tests/support/boxes.h"

namespace asmlp::detect::refine_test {
namespace {

// Deltas of class c move a box of 10 pixels to the right by c.
torch::Tensor stepping(int64_t rows, int64_t classes) {
  auto deltas = torch::zeros({rows, classes, 4});
  deltas.select(2, 0).copy_(torch::arange(classes).to(torch::kFloat) * 0.1);
  return deltas.view({rows, classes * 4});
}

TEST(Refine, FollowsTheBestForegroundClass) {
  const auto boxes = boxes_of({0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10});
  // The background wins everywhere, and does not count.
  const auto logits = values_of({1, 2, 0, 9, 0, 0, 3, 9, -5, -6, -7, 9}).view({3, 4});
  const auto moved = refine_boxes({}, boxes, logits, stepping(3, 3), {100, 100});
  EXPECT_LT(max_difference(moved, boxes_of({1, 0, 11, 10, 2, 0, 12, 10, 0, 0, 10, 10})), 1e-5);
  const auto clipped = refine_boxes({}, boxes, logits, stepping(3, 3), {100, 11});
  EXPECT_LT(max_difference(clipped[1], values_of({2, 0, 11, 10})), 1e-5);
}

TEST(Refine, InTrainingPositivesFollowTheirLabelAndGroundTruthsGo) {
  SampledRois rois;
  rois.boxes = boxes_of({0, 0, 10, 10, 20, 0, 30, 10, 40, 0, 50, 10, 60, 0, 70, 10});
  rois.labels = indices_of({2, 1, 0, 3});  // three positives, a negative (background 3)
  rois.gt = indices_of({0, 1, 0});
  rois.is_gt = torch::tensor({false, true, false});
  const auto logits = values_of({5, 0, 0, 0}).expand({4, 4}).clone();
  logits[3][1] = 7;
  const auto deltas = stepping(4, 3).requires_grad_();
  const auto moved = refine_boxes({}, rois, logits, deltas, {100, 100});
  EXPECT_LT(max_difference(moved, boxes_of({2, 0, 12, 10, 40, 0, 50, 10, 61, 0, 71, 10})), 1e-5);
  EXPECT_FALSE(moved.requires_grad());
}

TEST(Refine, OfNothing) {
  EXPECT_EQ(
      refine_boxes({}, torch::zeros({0, 4}), torch::zeros({0, 81}), torch::zeros({0, 320}), {9, 9})
          .sizes(),
      torch::IntArrayRef({0, 4}));
  EXPECT_THROW(
      refine_boxes({}, torch::zeros({1, 4}), torch::zeros({1, 81}), torch::zeros({1, 4}), {9, 9}),
      Error);
}

}  // namespace
}  // namespace asmlp::detect::refine_test
