// RandAugment's text and draws; augment_ops_test.cc has the operations.
#include "asmlp/torch/data/augment/rand_augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/torch/data/augment/color.h"

namespace asmlp::data::rand_augment_test {
namespace {

using testing::HasSubstr;

Image noise_image(int height, int width, int channels, uint64_t seed = 1) {
  Image image(height, width, channels);
  Random random(seed);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(20 + random.below(200));
  return image;
}

std::string error_of(const std::string& text) {
  try {
    parse_rand_augment(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(RandAugmentText, TakesTimmsPartsInAnyOrder) {
  EXPECT_FALSE(parse_rand_augment(""));
  const RandAugment plain = *parse_rand_augment("rand");
  EXPECT_EQ(plain.magnitude, 10);
  EXPECT_EQ(plain.magnitude_std, 0);
  EXPECT_EQ(plain.layers, 2);
  EXPECT_FALSE(plain.increasing || plain.weighted);
  const RandAugment all = *parse_rand_augment("rand-mstd0.5-n3-inc1-w0-m7");
  EXPECT_EQ(all.magnitude, 7);
  EXPECT_EQ(all.magnitude_std, 0.5);
  EXPECT_EQ(all.layers, 3);
  EXPECT_TRUE(all.increasing && all.weighted);
  EXPECT_EQ(all.probability, 0.5);
  EXPECT_FALSE(parse_rand_augment("rand-inc0")->increasing);
}

TEST(RandAugmentText, IsWrittenAsItIsRead) {
  for (const char* text : {"", "rand", "rand-m9-mstd0.5-inc1", "rand-m0-n13-mstd2.25-w0"}) {
    EXPECT_EQ(to_text(parse_rand_augment(text)), text);
  }
  EXPECT_EQ(to_text(parse_rand_augment("rand-inc1-n2-mstd0.5-m9")), "rand-m9-mstd0.5-inc1");
}

TEST(RandAugmentText, NamesWhatItDoesNotKnow) {
  EXPECT_THAT(error_of("random-m9"), HasSubstr("'random'"));
  EXPECT_THAT(error_of("rand-m9-msdt0.5"),
              testing::AllOf(HasSubstr("'msdt0.5'"), HasSubstr("did you mean 'mstd'")));
  EXPECT_THAT(error_of("rand-m9.5"), HasSubstr("'m9.5' must be 'm' and a whole number 0..10"));
  EXPECT_THAT(error_of("rand-m9-m9"), HasSubstr("twice"));
  EXPECT_THAT(error_of("rand-w0-n14"), HasSubstr("13 operations"));
  for (const char* text : {"rand-", "rand-m", "rand-m11", "rand-m-1", "rand-n0", "rand-n17",
                           "rand-inc2", "rand-w1", "rand-mstdnan", "rand-mstd1x", "rand-9", "rand ",
                           "-", "augmix-m3", "RAND", "rand-mstd0.5.1"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
}

// timm's ranges, level by level.
TEST(RandAugmentDraws, ArgumentsOfALevel) {
  Random random(3);
  const auto argument = [&](AugmentOp op, double level, bool increasing) {
    return augment_argument(op, level, increasing, random);
  };
  struct Case {
    AugmentOp op;
    double level;
    bool increasing;
    double expected;
  };
  for (const auto& [op, level, increasing, expected] :
       std::vector<Case>{{AugmentOp::kAutoContrast, 9, true, 0},
                         {AugmentOp::kEqualize, 9, true, 0},
                         {AugmentOp::kInvert, 9, true, 0},
                         {AugmentOp::kPosterize, 0, true, 4},
                         {AugmentOp::kPosterize, 9, true, 1},
                         {AugmentOp::kPosterize, 10, true, 0},
                         {AugmentOp::kPosterize, 9, false, 3},
                         {AugmentOp::kPosterize, 2.4, false, 0},
                         {AugmentOp::kSolarize, 0, true, 256},
                         {AugmentOp::kSolarize, 9, true, 26},
                         {AugmentOp::kSolarize, 10, true, 0},
                         {AugmentOp::kSolarize, 9, false, 230},
                         {AugmentOp::kSolarizeAdd, 9, true, 99},
                         {AugmentOp::kSolarizeAdd, 9, false, 99},
                         {AugmentOp::kColor, 9, false, 1.72},
                         {AugmentOp::kContrast, 0, false, 0.1},
                         {AugmentOp::kBrightness, 10, false, 1.9}}) {
    EXPECT_DOUBLE_EQ(argument(op, level, increasing), expected)
        << static_cast<int>(op) << ' ' << level;
  }
  for (const auto& [op, level, increasing, size] :
       std::vector<Case>{{AugmentOp::kRotate, 9, true, 27},
                         {AugmentOp::kRotate, 10, false, 30},
                         {AugmentOp::kShearX, 9, true, 0.27},
                         {AugmentOp::kShearY, 10, true, 0.3},
                         {AugmentOp::kTranslateX, 10, true, 0.45},
                         {AugmentOp::kTranslateY, 5, true, 0.225},
                         {AugmentOp::kColor, 9, true, 0.81},
                         {AugmentOp::kContrast, 10, true, 0.9},
                         {AugmentOp::kBrightness, 5, true, 0.45},
                         {AugmentOp::kSharpness, 1, true, 0.09}}) {
    const bool factor = op >= AugmentOp::kColor && op <= AugmentOp::kSharpness;
    int up = 0;
    for (int i = 0; i < 400; ++i) {
      const double offset = argument(op, level, increasing) - (factor ? 1 : 0);
      ASSERT_NEAR(std::abs(offset), size, 1e-12) << static_cast<int>(op);
      up += offset > 0;
    }
    EXPECT_NEAR(up, 200, 5 * std::sqrt(400 * 0.25));  // five standard deviations
  }
}

double chi_square(const std::vector<int>& counts, const std::vector<double>& shares) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * shares[i];
    if (expected > 0) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

TEST(RandAugmentDraws, OperationsAreEquallyLikelyOrWeighted) {
  Random random(4);
  const RandAugment even = *parse_rand_augment("rand-n3");
  std::vector<int> counts(kAugmentOps);
  bool twice = false;
  for (int i = 0; i < 10000; ++i) {
    const auto ops = draw_ops(even, random);
    ASSERT_EQ(ops.size(), 3u);
    for (const AugmentOp op : ops) ++counts.at(static_cast<size_t>(op));
    twice |= ops[0] == ops[1];
  }
  EXPECT_TRUE(twice);  // with replacement
  // 14 degrees of freedom: above 42.6 with probability 1e-4.
  EXPECT_LT(chi_square(counts, std::vector<double>(kAugmentOps, 1.0 / kAugmentOps)), 42.6);

  // The first of a weighted draw has the weights; the others never repeat it.
  const RandAugment weighted = *parse_rand_augment("rand-w0-n13");
  std::vector<int> first(kAugmentOps);
  for (int i = 0; i < 10000; ++i) {
    const auto ops = draw_ops(weighted, random);
    ASSERT_EQ(std::set<AugmentOp>(ops.begin(), ops.end()).size(), 13u);
    ++first.at(static_cast<size_t>(ops[0]));
  }
  EXPECT_EQ(first[static_cast<size_t>(AugmentOp::kInvert)], 0);
  EXPECT_EQ(first[static_cast<size_t>(AugmentOp::kPosterize)], 0);
  const std::vector<double> shares{0.025, 0.005, 0,     0.3, 0,   0.005, 0.005, 0.025,
                                   0.005, 0.005, 0.025, 0.2, 0.2, 0.1,   0.1};
  EXPECT_LT(chi_square(first, shares), 40);  // 12 degrees of freedom: 39.1 with probability 1e-4
}

TEST(RandAugmentDraws, LevelsAreNormalAndClipped) {
  Random random(5);
  const int n = 20000;
  double sum = 0, squares = 0;
  const RandAugment middle = *parse_rand_augment("rand-m5-mstd0.5");
  for (int i = 0; i < n; ++i) {
    const double level = draw_level(middle, random) - 5;
    sum += level, squares += level * level;
  }
  EXPECT_NEAR(sum / n, 0, 5 * 0.5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 0.25, 5 * 0.25 * std::sqrt(2.0 / n));
  const RandAugment edge = *parse_rand_augment("rand-m10-mstd0.5");
  int at_limit = 0;
  for (int i = 0; i < n; ++i) {
    const double level = draw_level(edge, random);
    ASSERT_LE(level, 10);
    at_limit += level == 10;
  }
  EXPECT_NEAR(at_limit, n / 2, 5 * std::sqrt(n * 0.25));
  EXPECT_EQ(draw_level(*parse_rand_augment("rand-m9"), random), 9);
}

// Each of n operations is applied half of the time, and every one changes this image.
TEST(RandAugmentDraws, HalfOfTheOperationsAreApplied) {
  const Image image = noise_image(24, 24, 3);
  for (const int layers : {1, 3}) {
    const RandAugment options = *parse_rand_augment(fmt::format("rand-m9-inc1-n{}", layers));
    const int n = 2000;
    int unchanged = 0;
    AugmentContext context;
    for (int i = 0; i < n; ++i) {
      Random random(derive_seed(6, {uint64_t(i)}));
      Image result = image;
      rand_augment(result, options, context, random);
      unchanged += result.pixels == image.pixels;
    }
    // Two inversions give the image back: 3 * 1/225 / 8 of the draws of three, within the margin.
    const double share = std::pow(0.5, layers);
    EXPECT_NEAR(unchanged, n * share, 5 * std::sqrt(n * share * (1 - share)));
  }
}

TEST(RandAugmentDraws, TheGeneratorDecidesEverything) {
  const Image image = noise_image(16, 16, 3);
  const RandAugment options = *parse_rand_augment("rand-m9-mstd0.5-inc1");
  AugmentContext fresh, used;
  used.interpolation = fresh.interpolation = WarpInterpolation::kRandom;
  std::set<std::string> distinct;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Image a = image, b = image;
    Random first(seed), second(seed);
    fresh.scratch = Image();
    rand_augment(a, options, fresh, first);
    rand_augment(b, options, used, second);
    EXPECT_EQ(a.pixels, b.pixels);
    distinct.emplace(a.pixels.begin(), a.pixels.end());
  }
  EXPECT_GT(distinct.size(), 25u);
}

TEST(RandAugmentDraws, RandomInterpolationIsEitherOne) {
  Random random(7);
  int bilinear = 0;
  for (int i = 0; i < 1000; ++i) {
    bilinear += draw_interpolation(WarpInterpolation::kRandom, random) == Interpolation::kBilinear;
    ASSERT_EQ(draw_interpolation(WarpInterpolation::kBicubic, random), Interpolation::kBicubic);
  }
  EXPECT_NEAR(bilinear, 500, 5 * std::sqrt(1000 * 0.25));
}

// A constant gray image shows the factor of brightness alone: contrast and color leave it.
TEST(ColorJitter, FactorsAreUniformAroundOne) {
  const int n = 4000;
  std::vector<int> counts(8);
  for (int i = 0; i < n; ++i) {
    Image image(2, 2, 3);
    image.pixels.assign(image.pixels.size(), 120);
    Random random(derive_seed(8, {uint64_t(i)}));
    color_jitter(image, 0.4, random);
    const double factor = (image.pixels[0] + 0.5) / 120;
    ASSERT_TRUE(factor > 0.59 && factor < 1.41) << factor;
    // Values 72..167 in eight equal classes.
    ++counts.at(static_cast<size_t>(std::clamp((image.pixels[0] - 72) / 12, 0, 7)));
  }
  // 7 degrees of freedom: above 29.9 with probability 1e-4.
  EXPECT_LT(chi_square(counts, std::vector<double>(8, 0.125)), 29.9);
}

TEST(ColorJitter, TheOrderIsDrawn) {
  // Brightness 0..2 clips before or after the contrast: with one seed only the order may differ.
  const Image image = noise_image(8, 8, 3);
  int matches = 0;
  const int n = 600;
  for (int i = 0; i < n; ++i) {
    const uint64_t seed = derive_seed(9, {uint64_t(i)});
    Image result = image;
    Random random(seed);
    color_jitter(result, 1.0, random);
    // The same factors in the fixed order brightness, contrast, color.
    Random same(seed);
    same.next(), same.next();
    Image fixed = image;
    brightness(fixed, same.uniform(0, 2));
    contrast(fixed, same.uniform(0, 2));
    color(fixed, same.uniform(0, 2));
    matches += fixed.pixels == result.pixels;
  }
  EXPECT_NEAR(matches, n / 6.0, 5 * std::sqrt(n * (1.0 / 6) * (5.0 / 6)));
  Image result = image;
  Random random(1);
  color_jitter(result, 0, random);
  EXPECT_EQ(result.pixels, image.pixels);
}

}  // namespace
}  // namespace asmlp::data::rand_augment_test
