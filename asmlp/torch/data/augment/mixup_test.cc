#include "asmlp/torch/data/augment/mixup.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/torch/ops/loss.h"

namespace asmlp::data::mixup_test {
namespace {

constexpr int kClasses = 5;

MixupOptions options_of(double mixup, double cutmix) {
  MixupOptions options;
  options.mixup = mixup;
  options.cutmix = cutmix;
  return options;
}

torch::Tensor random_images(int n) {
  torch::manual_seed(n);
  return torch::rand({n, 3, 16, 12});
}

TEST(SymmetricBeta, HasItsDistribution) {
  struct Case {
    double alpha;
    std::function<double(double)> below;  // the distribution function
  };
  for (const auto& [alpha, below] :
       std::vector<Case>{{0.5, [](double x) { return 2 / M_PI * std::asin(std::sqrt(x)); }},
                         {1.0, [](double x) { return x; }},
                         {2.0, [](double x) { return x * x * (3 - 2 * x); }},
                         {3.0, [](double x) { return x * x * x * (10 - 15 * x + 6 * x * x); }}}) {
    Random random(derive_seed(1, {uint64_t(alpha * 10)}));
    const int n = 20000;
    std::vector<int> counts(10);
    for (int i = 0; i < n; ++i) {
      const double x = symmetric_beta(alpha, random);
      ASSERT_TRUE(x >= 0 && x <= 1);
      ++counts.at(std::min(9, static_cast<int>(10 * x)));
    }
    double chi_square = 0;
    for (int i = 0; i < 10; ++i) {
      const double expected = n * (below((i + 1) / 10.0) - below(i / 10.0));
      chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi_square, 33.7) << alpha;  // 9 degrees of freedom, probability 1e-4
  }
  // The authors' 0.8, by its variance 1 / (4 (2 alpha + 1)); and a value whose powers underflow.
  Random random(2);
  const int n = 20000;
  double squares = 0;
  int ends = 0;
  for (int i = 0; i < n; ++i) {
    const double x = symmetric_beta(0.8, random) - 0.5;
    squares += x * x;
    const double y = symmetric_beta(1e-4, random);
    ASSERT_TRUE(y >= 0 && y <= 1);
    ends += y < 0.01;
  }
  EXPECT_NEAR(squares / n, 1 / (4 * 2.6),
              0.003);  // five standard deviations of x^2 (0.078) / sqrt(n)
  EXPECT_NEAR(ends, n / 2, 5 * std::sqrt(n * 0.25));
}

TEST(CutmixBox, LiesInTheImageAndHasTheArea) {
  Random random(3);
  bool whole = false, clipped = false;
  for (int i = 0; i < 2000; ++i) {
    const double lambda = random.uniform();
    const Window box = cutmix_box(30, 50, lambda, random);
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.top + box.height, 30);
    ASSERT_LE(box.left + box.width, 50);
    const int height = int(30 * std::sqrt(1 - lambda)) / 2 * 2;
    const int width = int(50 * std::sqrt(1 - lambda)) / 2 * 2;
    ASSERT_TRUE(box.height <= height && box.width <= width);
    whole |= height > 4 && box.height == height && box.width == width;
    clipped |= box.height < height || box.width < width;
  }
  EXPECT_TRUE(whole && clipped);
  EXPECT_EQ(cutmix_box(30, 50, 1, random).height, 0);
}

TEST(DrawMix, ChoosesAsOftenAsAsked) {
  const int n = 4000;
  const auto shares = [&](const MixupOptions& options) {
    Random random(4);
    int cut = 0, plain = 0;
    for (int i = 0; i < n; ++i) {
      const Mix mix = draw_mix(64, 64, options, random);
      cut += mix.cut;
      plain += !mix.cut && mix.lambda == 1;
      if (mix.cut) {
        EXPECT_EQ(mix.lambda, 1 - mix.box.height * mix.box.width / 4096.0);
      }
    }
    return std::pair{cut, plain};
  };
  const auto margin = [&](double p) { return 5 * std::sqrt(n * p * (1 - p)); };
  MixupOptions options = options_of(0.8, 1);
  EXPECT_NEAR(shares(options).first, n * 0.5, margin(0.5));
  EXPECT_EQ(shares(options).second, 0);
  options.switch_prob = 0.2;
  options.prob = 0.7;
  EXPECT_NEAR(shares(options).first, n * 0.14, margin(0.14));
  EXPECT_NEAR(shares(options).second, n * 0.3, margin(0.3));
  EXPECT_EQ(shares(options_of(0.8, 0)), (std::pair{0, 0}));
  EXPECT_EQ(shares(options_of(0, 1)), (std::pair{n, 0}));
  EXPECT_EQ(shares(options_of(0, 0)), (std::pair{0, n}));
}

// By hand: four classes, smoothing 0.2, 30 % of the partner.
TEST(MixedTargets, AreSmoothedAndMixedWithTheReversedBatch) {
  const auto targets = torch::tensor({0, 2, 2}, torch::kInt64);
  const auto expected =
      torch::tensor({{0.61, 0.05, 0.29, 0.05}, {0.05, 0.05, 0.85, 0.05}, {0.29, 0.05, 0.61, 0.05}});
  EXPECT_TRUE(torch::allclose(mixed_targets(targets, 0.7, 4, 0.2), expected.to(torch::kFloat32)));
  EXPECT_TRUE(torch::equal(mixed_targets(targets, 1, 4, 0),
                           torch::one_hot(targets, 4).to(torch::kFloat32)));
}

// Whatever was drawn: the images are what the targets say, of each image and its partner.
TEST(MixBatch, ImagesAndTargetsAreMixedInTheSameProportion) {
  const auto targets = torch::arange(4);  // all different: the targets tell lambda
  for (const double cutmix : {0.0, 1.0}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      MixupOptions options = options_of(cutmix > 0 ? 0 : 0.8, cutmix);
      options.smoothing = 0;
      const torch::Tensor before = random_images(4);
      torch::Tensor images = before.clone();
      Random random(seed);
      const torch::Tensor soft = mix_batch(images, targets, options, kClasses, random);
      const double lambda = soft[0][0].item<double>();
      EXPECT_NEAR(soft[0][3].item<double>(), 1 - lambda, 1e-6);
      EXPECT_TRUE(torch::allclose(soft.sum(1), torch::ones(4)));
      if (cutmix == 0) {
        EXPECT_TRUE(
            torch::allclose(images, lambda * before + (1 - lambda) * before.flip(0), 1e-4, 1e-6));
      } else {
        const auto own = images == before, partners = images == before.flip(0);
        EXPECT_TRUE((own | partners).all().item<bool>());
        EXPECT_NEAR(own.to(torch::kFloat64).mean().item<double>(), lambda, 1e-6);
        // One box, the same in every image and channel.
        EXPECT_TRUE((own == own[0][0]).all().item<bool>());
      }
      Random again(seed);
      torch::Tensor same = before.clone();
      EXPECT_TRUE(torch::equal(mix_batch(same, targets, options, kClasses, again), soft));
      EXPECT_TRUE(torch::equal(same, images));
    }
  }
}

TEST(MixupOptions, MixUpToTheEpochThatEndsIt) {
  EXPECT_TRUE(options_of(0.8, 0).mixes(1000));
  EXPECT_TRUE(options_of(0, 1).mixes(0));
  EXPECT_FALSE(options_of(0, 0).mixes(0));
  MixupOptions options;
  options.off_epoch = 3;
  EXPECT_TRUE(options.mixes(2));
  EXPECT_FALSE(options.mixes(3));
}

TEST(MixBatch, WithoutMixingItIsLabelSmoothing) {
  const torch::Tensor before = random_images(3), targets = torch::tensor({4, 0, 1}, torch::kInt64);
  torch::Tensor images = before.clone();
  Random random(5);
  const torch::Tensor soft = mix_batch(images, targets, options_of(0, 0), kClasses, random);
  EXPECT_TRUE(torch::equal(images, before));
  const torch::Tensor logits = torch::randn({3, 5}, torch::requires_grad());
  const auto loss = train::soft_target_cross_entropy(logits, soft);
  const auto expected = torch::nn::functional::cross_entropy(
      logits, targets, torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(0.1));
  EXPECT_NEAR(loss.item<float>(), expected.item<float>(), 1e-6);
  const auto gradient = torch::autograd::grad({loss}, {logits})[0];
  EXPECT_TRUE(
      torch::allclose(gradient, torch::autograd::grad({expected}, {logits})[0], 1e-5, 1e-7));
}

TEST(SoftTargetCrossEntropy, ByHandAndInFp32) {
  const auto logits = torch::tensor({{0.0, std::log(3.0)}, {2.0, 2.0}}).to(torch::kFloat32);
  const auto soft = torch::tensor({{0.5, 0.5}, {0.0, 1.0}}).to(torch::kFloat32);
  const double expected = (0.5 * std::log(4.0) + 0.5 * std::log(4.0 / 3) + std::log(2.0)) / 2;
  EXPECT_NEAR(train::soft_target_cross_entropy(logits, soft).item<double>(), expected, 1e-6);
  const auto low = train::soft_target_cross_entropy(logits.to(torch::kBFloat16), soft);
  EXPECT_EQ(low.scalar_type(), torch::kFloat32);
  EXPECT_NEAR(low.item<double>(), expected, 0.01);
  EXPECT_THROW(train::soft_target_cross_entropy(logits, soft[0]), Error);
}

}  // namespace
}  // namespace asmlp::data::mixup_test
