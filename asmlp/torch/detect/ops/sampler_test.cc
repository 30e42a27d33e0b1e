#include "asmlp/torch/detect/ops/sampler.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/boxes.h"

namespace asmlp::detect::sampler_test {
namespace {

// 30 positives, 50 negatives, 20 ignored, mixed.
torch::Tensor mixed() {
  auto gt = torch::full({100}, kNegative, torch::kInt64);
  for (int64_t i = 0; i < 30; ++i) gt[3 * i] = i % 7;
  for (int64_t i = 0; i < 20; ++i) gt[3 * i + 1] = kIgnored;
  return gt;
}

TEST(Sampler, CountsAndKinds) {
  const auto gt = mixed();
  struct Case {
    SampleConfig config;
    int64_t positives, negatives;
  };
  for (const auto& [config, positives, negatives] :
       {Case{{16, 0.5}, 8, 8}, Case{{40, 0.25}, 10, 30}, Case{{200, 0.5}, 30, 50},
        Case{{64, 1.0}, 30, 34}, Case{{7, 0.5}, 3, 4}, Case{{0, 0.5}, 0, 0}}) {
    data::Random random(1);
    const Sample chosen = sample(gt, config, random);
    EXPECT_EQ(chosen.positives.size(0), positives);
    EXPECT_EQ(chosen.negatives.size(0), negatives);
    EXPECT_TRUE((gt.index_select(0, chosen.positives) >= 0).all().item<bool>());
    EXPECT_TRUE((gt.index_select(0, chosen.negatives) == kNegative).all().item<bool>());
    for (const auto& part : {chosen.positives, chosen.negatives}) {  // ascending, none twice
      EXPECT_TRUE((part.diff() > 0).all().item<bool>());
    }
  }
}

TEST(Sampler, DependsOnTheGeneratorAlone) {
  const auto gt = mixed();
  const auto draw = [&](uint64_t seed) {
    data::Random random(seed);
    const Sample chosen = sample(gt, {16, 0.5}, random);
    return torch::cat({chosen.positives, chosen.negatives});
  };
  torch::manual_seed(1);
  const auto first = draw(5);
  torch::manual_seed(2);
  EXPECT_TRUE(draw(5).equal(first));
  EXPECT_FALSE(draw(6).equal(first));
}

// Each of 30 positives is drawn with probability 8 / 30; 3000 draws deviate by 0.008 (one sigma).
TEST(Sampler, IsFair) {
  const auto gt = mixed();
  auto counts = torch::zeros({100});
  data::Random random(7);
  for (int i = 0; i < 3000; ++i) {
    counts.index_add_(0, sample(gt, {16, 0.5}, random).positives, torch::ones({8}));
  }
  const auto share = counts.index_select(0, torch::arange(30) * 3) / 3000;
  EXPECT_LT((share - 8.0 / 30).abs().max().item<double>(), 5 * 0.0081);
}

TEST(Sampler, GroundTruthsArePrependedAsProposals) {
  const auto gts = boxes_of({0, 0, 10, 10, 20, 20, 30, 30});
  const auto labels = indices_of({3, 5});
  const auto proposals = boxes_of({50, 50, 60, 60, 20, 20, 30, 29, 0, 0, 5, 5});
  const MatchConfig match{.low_quality = false};
  data::Random random(1);
  const auto with = sample_rois(proposals, gts, labels, 80, match, {}, random);
  EXPECT_TRUE(
      with.boxes.equal(torch::cat({gts, proposals.index_select(0, indices_of({1, 0, 2}))})));
  EXPECT_TRUE(with.labels.equal(indices_of({3, 5, 5, 80, 80})));
  EXPECT_TRUE(with.gt.equal(indices_of({0, 1, 1})));
  EXPECT_TRUE(with.gt_boxes.equal(gts.index_select(0, with.gt)));
  EXPECT_TRUE(with.is_gt.equal(torch::tensor({true, true, false})));
  EXPECT_TRUE(with.positive_boxes().equal(with.boxes.slice(0, 0, 3)));
  const auto without =
      sample_rois(proposals, gts, labels, 80, match, {.add_truths = false}, random);
  EXPECT_TRUE(without.boxes.equal(proposals.index_select(0, indices_of({1, 0, 2}))));
  EXPECT_TRUE(without.is_gt.equal(torch::tensor({false})));
}

TEST(Sampler, WithoutGroundTruthsOrProposals) {
  data::Random random(1);
  const auto none = torch::zeros({0, 4});
  const auto negatives =
      sample_rois(random_boxes(9, 10, 1), none, indices_of({}), 80, {}, {4, 0.5}, random);
  EXPECT_EQ(negatives.positives(), 0);
  EXPECT_TRUE(negatives.labels.equal(torch::full({4}, 80, torch::kInt64)));
  const auto gts = boxes_of({0, 0, 10, 10});
  const auto only = sample_rois(none, gts, indices_of({1}), 80, {}, {}, random);
  EXPECT_TRUE(only.boxes.equal(gts));
  EXPECT_EQ(sample_rois(none, none, indices_of({}), 80, {}, {}, random).boxes.size(0), 0);
}

TEST(Sampler, RefusesWhatDoesNotFit) {
  data::Random random(1);
  EXPECT_THROW(sample(torch::zeros({3}), {}, random), Error);
  EXPECT_THROW(sample(mixed(), {-1, 0.5}, random), Error);
  EXPECT_THROW(sample(mixed(), {1, 1.5}, random), Error);
  EXPECT_THROW(
      sample_rois(torch::zeros({0, 4}), torch::zeros({1, 4}), indices_of({}), 80, {}, {}, random),
      Error);
}

}  // namespace
}  // namespace asmlp::detect::sampler_test
