#include "asmlp/torch/detect/ops/iou.h"

#include <gtest/gtest.h>

#include "asmlp/weights/safetensors.h"
#include "tests/support/boxes.h"
#include "tests/support/gradients.h"
#include "tests/support/support.h"

namespace asmlp::detect::iou_test {
namespace {

TEST(Iou, ByHand) {
  const auto a = boxes_of({0, 0, 2, 2, 5, 5, 5, 5});
  const auto b = boxes_of({1, 0, 3, 2, 0, 0, 2, 2, 2, 0, 4, 2, 5, 5, 5, 5});
  // Boxes that touch share nothing; those without area have a union of 1e-6.
  const auto expected = values_of({2.0f / 6, 1, 0, 0, 0, 0, 0, 0}).view({2, 4});
  EXPECT_TRUE(pairwise_iou(a, b).equal(expected));
  // 2 of 6 shared, all of the 3 x 2 around both; then 1 apart: nothing shared, 8 of 10.
  const auto giou =
      generalized_iou(boxes_of({0, 0, 2, 2, 0, 0, 2, 2}), boxes_of({1, 0, 3, 2, 3, 0, 5, 2}));
  EXPECT_LT(max_difference(giou, values_of({2.0f / 6, -0.2f})), 1e-6);
}

TEST(Iou, HasTorchvisionsFigures) {
  const auto file = read_safetensors(test::data("detect/boxes.safetensors"));
  const auto first = golden(file.tensors, "pairs.first"),
             second = golden(file.tensors, "pairs.second");
  // An edge of a box of a few pixels rounds by 1e-5 of it.
  EXPECT_LT(max_difference(pairwise_iou(first, second), golden(file.tensors, "pairs.iou")), 3e-5);
  EXPECT_LT(max_difference(generalized_iou(first, second), golden(file.tensors, "pairs.giou")),
            3e-5);
}

// Blocks, threads and the order of the arguments do not change a bit.
TEST(Iou, OfAPairIsAlwaysTheSame) {
  torch::manual_seed(4);
  const auto a = random_boxes(70, 300, 0.01), b = random_boxes(20000, 300, 0.01);
  const auto iou = with_threads(2, [&] { return pairwise_iou(a, b); });
  EXPECT_TRUE(pairwise_iou(b, a).t().equal(iou));
  EXPECT_TRUE(with_threads(1, [&] { return pairwise_iou(a, b); }).equal(iou));
  for (int64_t i : {0, 3744, 3745, 19999}) {
    EXPECT_TRUE(pairwise_iou(a, b.slice(0, i, i + 1)).squeeze(1).equal(iou.select(1, i)));
  }
  EXPECT_EQ(pairwise_iou(a, b.slice(0, 0, 0)).sizes(), torch::IntArrayRef({70, 0}));
  EXPECT_EQ(pairwise_iou(b.slice(0, 0, 0), a).sizes(), torch::IntArrayRef({0, 70}));
}

TEST(Iou, GeneralizedIsDifferentiable) {
  torch::manual_seed(5);
  const auto at = torch::rand({6, 4}, torch::kDouble) + torch::tensor({0., 0., 1., 1.});
  const auto other = torch::rand({6, 4}, torch::kDouble) + torch::tensor({0.5, 0., 1.5, 1.});
  EXPECT_LT(nn::gradient_error(
                [&](const torch::Tensor& boxes) { return generalized_iou(boxes, other); }, at),
            1e-7);
}

TEST(Iou, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(pairwise_iou(torch::zeros({2, 5}), torch::zeros({2, 4})), Error);
  EXPECT_THROW(generalized_iou(torch::zeros({2, 4}), torch::zeros({3, 4})), Error);
  EXPECT_THROW(pairwise_iou(indices_of({0, 0, 1, 1}).view({1, 4}), torch::zeros({2, 4})), Error);
}

}  // namespace
}  // namespace asmlp::detect::iou_test
