#include "asmlp/torch/detect/ops/multiclass_nms.h"

#include <gtest/gtest.h>

#include "tests/support/boxes.h"

namespace asmlp::detect::multiclass_nms_test {
namespace {

TEST(MulticlassNms, ByHand) {
  // Two classes and the background.
  const auto probabilities =
      values_of({0.6f, 0.3f, 0.1f, 0.5f, 0.05f, 0.45f, 0, 0.2f, 0.8f}).view({3, 3});
  const auto boxes = boxes_of({0, 0, 10, 10, 1,  0, 11, 10,   // of the first RoI
                               0, 0, 10, 9,  0,  0, 10, 10,   // 0.9 of class 0 above
                               0, 0, 10, 10, 21, 0, 31, 10})  // class 1 apart
                         .view({3, 8});
  const auto found = multiclass_nms(probabilities, boxes, {});
  // The second RoI is suppressed in class 0, and scores 0.05, which is not more, in class 1.
  EXPECT_TRUE(found.scores.equal(values_of({0.6f, 0.3f, 0.2f})));
  EXPECT_TRUE(found.labels.equal(indices_of({0, 1, 1})));
  EXPECT_TRUE(found.boxes.equal(boxes_of({0, 0, 10, 10, 1, 0, 11, 10, 21, 0, 31, 10})));
  const auto best = multiclass_nms(probabilities, boxes, {.max_detections = 1});
  EXPECT_TRUE(best.scores.equal(values_of({0.6f})));
  const auto more = multiclass_nms(probabilities, boxes, {0.04, 0.9, 100});
  EXPECT_TRUE(more.labels.equal(indices_of({0, 0, 1, 1, 1})));
}

TEST(MulticlassNms, MayFindNothing) {
  const auto found = multiclass_nms(torch::full({2, 81}, 1.0 / 81), torch::zeros({2, 320}), {});
  EXPECT_EQ(found.boxes.sizes(), torch::IntArrayRef({0, 4}));
  EXPECT_EQ(found.labels.scalar_type(), torch::kInt64);
  EXPECT_EQ(multiclass_nms(torch::zeros({0, 81}), torch::zeros({0, 320}), {}).scores.size(0), 0);
}

TEST(MulticlassNms, RefusesWhatDoesNotFit) {
  EXPECT_THROW(multiclass_nms(torch::zeros({2, 81}), torch::zeros({2, 4}), {}), Error);
  EXPECT_THROW(multiclass_nms(torch::zeros({2, 1}), torch::zeros({2, 0}), {}), Error);
}

}  // namespace
}  // namespace asmlp::detect::multiclass_nms_test
