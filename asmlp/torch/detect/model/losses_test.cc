#include "asmlp/torch/detect/model/losses.h"

#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/torch/detect/ops/iou.h"
#include "tests/support/boxes.h"

namespace asmlp::detect::losses_test {
namespace {

// -log of the logistic function.
double entropy_of(double logit) { return std::log1p(std::exp(-logit)); }

double number(const torch::Tensor& scalar) { return scalar.item<double>(); }

Sample chosen(std::initializer_list<int64_t> positives, std::initializer_list<int64_t> negatives) {
  return {indices_of(positives), indices_of(negatives)};
}

TEST(Losses, OfProposalsByHand) {
  const auto anchors = boxes_of({0, 0, 10, 10, 0, 0, 20, 20, 5, 5, 15, 15});
  // Image 0: anchor 1 is positive, 0 and 2 negative. Image 1: anchor 0 negative only.
  const auto gt = boxes_of({0, 0, 20, 40});  // dy 0.5, dh ln 2 from anchor 1
  const std::vector<RpnTargets> targets{{chosen({1}, {0, 2}), gt},
                                        {chosen({}, {0}), torch::zeros({0, 4})}};
  const auto logits = values_of({1, 2, -1, 0.5f, 9, 9}).view({2, 3}).requires_grad_();
  auto deltas = torch::zeros({2, 3, 4});
  deltas[0][1] = values_of({0.05f, 0.5f, -1, std::log(2.0f) + 0.5f});  // off by 0.05, 0, 1, 0.5
  deltas.requires_grad_();
  const double count = (1 + 2) + (1 + 1);
  const double classes =
      (entropy_of(2) + entropy_of(-1) + entropy_of(1) + entropy_of(-0.5)) / count;
  const auto l1 = rpn_losses(logits, deltas, anchors, targets, {}, {});
  EXPECT_NEAR(number(l1.classes), classes, 1e-6);
  EXPECT_NEAR(number(l1.boxes), 1.55 / count, 1e-6);
  const auto smooth =
      rpn_losses(logits, deltas, anchors, targets, {.kind = BoxLossKind::kSmoothL1}, {});
  EXPECT_NEAR(number(smooth.boxes), (0.05 * 0.05 * 9 / 2 + 1 + 0.5 - 2.0 / 18) / count, 1e-6);
  // Only what was sampled gets a gradient.
  (l1.classes + l1.boxes).backward();
  EXPECT_TRUE((logits.grad() != 0)
                  .equal(torch::tensor({true, true, true, true, false, false}).view({2, 3})));
  EXPECT_EQ((deltas.grad() != 0).sum().item<int64_t>(), 3);
}

TEST(Losses, OfABoxHeadByHand) {
  SampledRois first, second;
  first.boxes = boxes_of({0, 0, 10, 10, 0, 0, 9, 9});
  first.labels = indices_of({1, 2});  // a positive of class 1; class 2 is the background
  first.gt = indices_of({0});
  first.gt_boxes = boxes_of({1, 0, 11, 10});
  second.boxes = boxes_of({3, 3, 4, 4});
  second.labels = indices_of({2});
  second.gt = indices_of({});
  second.gt_boxes = torch::zeros({0, 4});
  const auto logits = values_of({0, 1, 2, 3, 0, 0, 0, 0, 0}).view({3, 3}).requires_grad_();
  const auto deltas = torch::zeros({3, 8}).requires_grad_();
  const double classes = (std::log(1 + std::exp(1.0) + std::exp(2.0)) - 1 +
                          std::log(2 + std::exp(3.0)) + std::log(3.0)) /
                         3;
  const BoxCoder coder{.stds = {0.1f, 0.1f, 0.2f, 0.2f}};
  const auto l1 = box_head_losses(logits, deltas, {first, second}, {}, coder);
  EXPECT_NEAR(number(l1.classes), classes, 1e-6);
  EXPECT_NEAR(number(l1.boxes), 1.0 / 3, 1e-6);  // dx = 0.1 / 0.1
  l1.boxes.backward();
  EXPECT_NEAR(number(deltas.grad()[0][4]), -1.0 / 3, 1e-6);  // of class 1
  EXPECT_EQ((deltas.grad().slice(1, 0, 4) != 0).sum().item<int64_t>(), 0);
  EXPECT_EQ((deltas.grad().slice(0, 1, 3) != 0).sum().item<int64_t>(), 0);
  // Decoded: [0, 10] and [1, 11] share 9 of 11, which is all of the box around them.
  const auto giou = box_head_losses(logits, deltas, {first, second},
                                    {.kind = BoxLossKind::kGiou, .weight = 10}, coder);
  EXPECT_NEAR(number(giou.boxes), 10 * (1 - 9.0 / 11) / 3, 1e-5);
}

TEST(Losses, OfMasksByHand) {
  const auto logits = torch::zeros({2, 3, 1, 2});
  logits[0][2][0][0] = 1, logits[0][2][0][1] = -2, logits[1][0][0][0] = 3;
  const auto targets = values_of({1, 1, 0, 0}).view({2, 1, 2});
  const auto loss = mask_loss(logits, indices_of({2, 0}), targets);
  EXPECT_NEAR(number(loss), (entropy_of(1) + entropy_of(-2) + entropy_of(-3) + entropy_of(0)) / 4,
              1e-6);
}

// c10d's reducer waits for the gradient of every parameter.
TEST(Losses, WithoutPositivesAreZeroAndHaveAGradient) {
  const auto none = torch::zeros({0, 4});
  const auto anchors = boxes_of({0, 0, 10, 10, 0, 0, 20, 20});
  SampledRois background;
  background.boxes = anchors;
  background.labels = indices_of({2, 2});
  background.gt = indices_of({});
  background.gt_boxes = none;
  SampledRois nothing = background;
  nothing.boxes = none;
  nothing.labels = indices_of({});
  for (BoxLossKind kind : {BoxLossKind::kL1, BoxLossKind::kSmoothL1, BoxLossKind::kGiou}) {
    const BoxLossConfig config{.kind = kind};
    const auto expect_attached = [](const torch::Tensor& loss, const torch::Tensor& input) {
      EXPECT_EQ(number(loss), 0);
      const auto gradient = torch::autograd::grad({loss}, {input})[0];
      EXPECT_TRUE(gradient.equal(torch::zeros_like(input)));
    };
    const auto rpn_deltas = torch::randn({1, 2, 4}).requires_grad_();
    const auto rpn_logits = torch::randn({1, 2}).requires_grad_();
    expect_attached(
        rpn_losses(rpn_logits, rpn_deltas, anchors, {{chosen({}, {0, 1}), none}}, config, {}).boxes,
        rpn_deltas);
    expect_attached(
        rpn_losses(rpn_logits, rpn_deltas, anchors, {{chosen({}, {}), none}}, config, {}).classes,
        rpn_logits);
    const auto deltas = torch::randn({2, 8}).requires_grad_();
    expect_attached(box_head_losses(torch::randn({2, 3}), deltas, {background}, config, {}).boxes,
                    deltas);
    const auto logits = torch::randn({0, 3}).requires_grad_();
    expect_attached(box_head_losses(logits, torch::randn({0, 8}), {nothing}, config, {}).classes,
                    logits);
  }
  const auto masks = torch::randn({0, 3, 28, 28}).requires_grad_();
  const auto loss = mask_loss(masks, indices_of({}), torch::zeros({0, 28, 28}));
  EXPECT_EQ(number(loss), 0);
  EXPECT_EQ(torch::autograd::grad({loss}, {masks})[0].numel(), 0);
}

TEST(Losses, TargetsOfProposalsSkipAnchorsThatAreNotUsable) {
  torch::manual_seed(61);
  const auto anchors = random_boxes(500, 100, 1), gts = random_boxes(6, 100, 1);
  const auto usable = torch::rand({500}) < 0.5;
  data::Random random(3);
  const auto targets = rpn_targets(anchors, usable, gts, RpnConfig{}.match, {64, 0.5}, random);
  const auto all = torch::cat({targets.sample.positives, targets.sample.negatives});
  ASSERT_GT(targets.sample.positives.size(0), 0);
  EXPECT_TRUE(usable.index_select(0, all).all().item<bool>());
  const auto iou = pairwise_iou(gts, anchors);
  for (int64_t i = 0; i < targets.sample.positives.size(0); ++i) {
    const auto anchor = targets.sample.positives[i].item<int64_t>();
    const auto own =
        pairwise_iou(targets.gts.slice(0, i, i + 1), anchors.slice(0, anchor, anchor + 1));
    EXPECT_GE(own.item<float>(), 0.3f);
  }
  EXPECT_LT(iou.index_select(1, targets.sample.negatives).max().item<float>(), 0.3f);
}

TEST(Losses, WidenHalfPrecision) {
  SampledRois rois;
  rois.boxes = boxes_of({0, 0, 10, 10});
  rois.labels = indices_of({0});
  rois.gt = indices_of({0});
  rois.gt_boxes = boxes_of({0, 0, 10, 11});
  const auto logits = torch::randn({1, 3}).to(torch::kBFloat16);
  const auto deltas = torch::randn({1, 8}).to(torch::kBFloat16);
  const auto half = box_head_losses(logits, deltas, {rois}, {}, {});
  const auto full =
      box_head_losses(logits.to(torch::kFloat), deltas.to(torch::kFloat), {rois}, {}, {});
  EXPECT_TRUE(half.classes.equal(full.classes));
  EXPECT_TRUE(half.boxes.equal(full.boxes));
}

TEST(Losses, RefuseWhatDoesNotFit) {
  const auto anchors = boxes_of({0, 0, 10, 10});
  EXPECT_THROW(rpn_losses(torch::zeros({1, 2}), torch::zeros({1, 1, 4}), anchors,
                          {{chosen({}, {}), torch::zeros({0, 4})}}, {}, {}),
               Error);
  EXPECT_THROW(rpn_losses(torch::zeros({0, 1}), torch::zeros({0, 1, 4}), anchors, {}, {}, {}),
               Error);
  EXPECT_THROW(box_head_losses(torch::zeros({1, 3}), torch::zeros({1, 8}), {}, {}, {}), Error);
  EXPECT_THROW(mask_loss(torch::zeros({1, 3, 28, 28}), indices_of({0}), torch::zeros({1, 14, 14})),
               Error);
  data::Random random(1);
  EXPECT_THROW(rpn_targets(anchors, torch::ones({2}, torch::kBool), anchors, {}, {}, random),
               Error);
}

}  // namespace
}  // namespace asmlp::detect::losses_test
