#include "asmlp/torch/detect/roi/mask_target.h"

#include <gtest/gtest.h>

#include "asmlp/torch/detect/roi/roi_align.h"
#include "asmlp/torch/detect/roi/roi_extractor.h"
#include "tests/support/boxes.h"

namespace asmlp::detect::mask_target_test {
namespace {

TEST(MaskTarget, ByHand) {
  // The left half of an 8 x 4 bitmap.
  auto mask = torch::zeros({1, 4, 8}, torch::kUInt8);
  mask.slice(2, 0, 4).fill_(1);
  const auto target = [&](std::initializer_list<float> box, int64_t size) {
    return mask_targets(mask, boxes_of(box), indices_of({0}), size).flatten();
  };
  EXPECT_TRUE(target({0, 0, 8, 4}, 2).equal(values_of({1, 0, 1, 0})));
  EXPECT_TRUE(target({2, 0, 6, 4}, 1).equal(values_of({1})));  // exactly one half
  EXPECT_TRUE(target({2.1f, 0, 6.1f, 4}, 1).equal(values_of({0})));
  // A box is clipped to the bitmap first: [-8, 8] has become [0, 8].
  EXPECT_TRUE(target({-8, -3, 8, 9}, 2).equal(values_of({1, 0, 1, 0})));
  EXPECT_TRUE(target({2, 2, 2, 2}, 1).equal(values_of({0})));
}

// RoIAlign of the bitmap as floats, of the ground truth of each box.
TEST(MaskTarget, IsRoiAlignOfTheOwnBitmap) {
  torch::manual_seed(71);
  const auto masks =
      (torch::avg_pool2d(torch::randn({5, 90, 120}), 15, 1, 7) > 0).to(torch::kUInt8);
  const auto boxes = random_boxes(60, 90, 0.25) + values_of({0, 0, 1, 1});
  const auto gt = torch::randint(0, 5, {60}, torch::kInt64);
  const auto clipped =
      torch::stack({boxes.select(1, 0).clamp(0, 120), boxes.select(1, 1).clamp(0, 90),
                    boxes.select(1, 2).clamp(0, 120), boxes.select(1, 3).clamp(0, 90)},
                   1);
  const auto rois = torch::cat({gt.to(torch::kFloat).unsqueeze(1), clipped}, 1);
  const auto mean =
      roi_align(masks.to(torch::kFloat).unsqueeze(1), 1, rois, {28, 28, 0}).squeeze(1);
  const auto targets = mask_targets(masks, boxes, gt);
  EXPECT_EQ(targets.sizes(), torch::IntArrayRef({60, 28, 28}));
  EXPECT_EQ(targets.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(targets.equal((mean >= 0.5).to(torch::kFloat)));
  const double share = targets.mean().item<double>();
  EXPECT_GT(share, 0.2);
  EXPECT_LT(share, 0.8);
  EXPECT_TRUE(with_threads(1, [&] { return mask_targets(masks, boxes, gt); }).equal(targets));
}

TEST(MaskTarget, EmptyAndWrongArguments) {
  const auto masks = torch::ones({1, 4, 8}, torch::kUInt8);
  EXPECT_EQ(mask_targets(masks, torch::zeros({0, 4}), indices_of({})).sizes(),
            torch::IntArrayRef({0, 28, 28}));
  EXPECT_EQ(mask_targets(masks.slice(0, 0, 0), torch::zeros({0, 4}), indices_of({})).size(0), 0);
  const auto box = boxes_of({0, 0, 1, 1});
  EXPECT_THROW(mask_targets(masks, box, indices_of({1})), Error);
  EXPECT_THROW(mask_targets(masks, box, indices_of({0, 0})), Error);
  EXPECT_THROW(mask_targets(masks, box, indices_of({0}), 0), Error);
  EXPECT_THROW(mask_targets(masks.to(torch::kFloat), box, indices_of({0})), Error);
  EXPECT_THROW(mask_targets(masks, boxes_of({0, NAN, 1, 1}), indices_of({0})), Error);
}

}  // namespace
}  // namespace asmlp::detect::mask_target_test
