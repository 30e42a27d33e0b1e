#include "asmlp/quantize/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace asmlp::histogram_test {
namespace {

Histogram histogram_of(const std::vector<float>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Histogram histogram({std::min(*low, 0.0f), std::max(*high, 0.0f)});
  for (const float value : values) histogram.add(value);
  return histogram;
}

std::vector<float> normal_values(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

// Sum of squares of what int8 with this scale makes of the values.
double squared_error(const std::vector<float>& values, const InputScale& scale) {
  double sum = 0;
  for (const float value : values) {
    const float q =
        std::clamp(std::nearbyint(value / scale.scale) + static_cast<float>(scale.zero_point),
                   -128.0f, 127.0f);
    const double off = double{scale.scale} * (q - static_cast<float>(scale.zero_point)) - value;
    sum += off * off;
  }
  return sum;
}

TEST(Histogram, CountsEveryValueInItsBinWhateverTheOrder) {
  std::vector<float> values = normal_values(10000, 1);
  const Histogram first = histogram_of(values);
  EXPECT_EQ(first.total(), 10000);
  std::reverse(values.begin(), values.end());
  const Histogram second = histogram_of(values);
  for (int bin = 0; bin < Histogram::kBins; ++bin) EXPECT_EQ(first.count(bin), second.count(bin));

  Histogram sum(first.range());
  std::vector<uint32_t> counts(Histogram::kBins);
  for (const float value : values) ++counts[static_cast<size_t>(sum.bin_of(value))];
  sum.add(counts.data());
  for (int bin = 0; bin < Histogram::kBins; ++bin) EXPECT_EQ(sum.count(bin), first.count(bin));
}

TEST(Histogram, WhatIsOutsideCountsAtTheEnds) {
  Histogram histogram({-1, 3});
  EXPECT_EQ(histogram.bin_of(-1), 0);
  EXPECT_EQ(histogram.bin_of(3), Histogram::kBins - 1);
  EXPECT_EQ(histogram.bin_of(0), Histogram::kBins / 4);
  EXPECT_EQ(histogram.bin_of(-1e30f), 0);
  EXPECT_EQ(histogram.bin_of(1e30f), Histogram::kBins - 1);
  EXPECT_EQ(histogram.bin_of(INFINITY), Histogram::kBins - 1);
  EXPECT_EQ(histogram.bin_of(std::nanf("")), 0);
  Histogram point;  // a layer whose input is always zero
  point.add(0.0f);
  EXPECT_EQ(point.total(), 1);
}

// 1000 values 0.0005, 0.0015, ... 0.9995: P percent leave out (100 - P) / 2 percent at each end.
TEST(Range, OfAPercentageLeavesTheSameShareOutAtEachEnd) {
  Histogram histogram({-1, 1});
  for (int i = 0; i < 1000; ++i) {
    histogram.add((static_cast<float>(i) + 0.5f) / 500 - 1);
  }
  const float bin = histogram.bin_width();
  const ValueRange all = percentile_range(histogram, 100);
  EXPECT_LE(all.low, -0.999f);
  EXPECT_GE(all.high, 0.999f);
  for (const double percent : {99.0, 90.0, 60.0}) {
    const ValueRange range = percentile_range(histogram, percent);
    // To the spacing of the values and the width of a bin.
    EXPECT_NEAR(range.low, -percent / 100, 0.002 + bin) << percent;
    EXPECT_NEAR(range.high, percent / 100, 0.002 + bin) << percent;
  }
}

TEST(Range, AlwaysHasZero) {
  Histogram histogram({0, 4});
  for (int i = 0; i < 100; ++i) histogram.add(3.5f);
  for (const ValueRange range : {percentile_range(histogram, 90), least_squares_range(histogram)}) {
    EXPECT_EQ(range.low, 0);
    EXPECT_GE(range.high, 3.5f - histogram.bin_width());
  }
}

TEST(Range, OfTheLeastSquaredErrorIsBetterThanTheWhole) {
  // A normal distribution and a few values far away: the step would be ten times as large.
  std::vector<float> values = normal_values(50000, 2);
  for (int i = 0; i < 3; ++i) values.push_back(40);
  const Histogram histogram = histogram_of(values);
  const ValueRange best = least_squares_range(histogram);
  EXPECT_LT(best.high, 40);
  const double error = squared_error(values, input_scale(best));
  EXPECT_LT(error, squared_error(values, input_scale(histogram.range())));
  // No percentage is better by more than what steps of 1/256 of the range can miss.
  for (const double percent : {100.0, 99.999, 99.99, 99.9, 99.0}) {
    const double other = squared_error(values, input_scale(percentile_range(histogram, percent)));
    EXPECT_LE(error, other * 1.1) << percent;
  }
  // Values without outliers keep nearly their whole range.
  std::vector<float> even(50000);
  for (size_t i = 0; i < even.size(); ++i) even[i] = static_cast<float>(i) / 25000 - 1;
  const ValueRange whole = least_squares_range(histogram_of(even));
  EXPECT_LT(whole.low, -0.98f);
  EXPECT_GT(whole.high, 0.98f);
}

TEST(Scale, CoversTheRangeAndRepresentsZero) {
  for (const ValueRange range :
       {ValueRange{-1, 1}, {-0.17f, 6}, {0, 3}, {-5, 0}, {-1e-20f, 1e-20f}, {-1e30f, 1e30f}}) {
    const InputScale scale = input_scale(range);
    EXPECT_GE(scale.zero_point, -128);
    EXPECT_LE(scale.zero_point, 127);
    EXPECT_GE(scale.scale, 0x1p-60f);
    EXPECT_LE(scale.scale, 0x1p60f);
    if (range.high > 1e10f || range.high < 1e-10f) continue;
    // To half a step, by which the zero point was rounded.
    EXPECT_NEAR(scale.scale * static_cast<float>(-128 - scale.zero_point), range.low,
                0.51f * scale.scale);
    EXPECT_NEAR(scale.scale * static_cast<float>(127 - scale.zero_point), range.high,
                0.51f * scale.scale);
  }
  EXPECT_EQ(input_scale({0, 0}), (InputScale{1, 0}));
}

}  // namespace
}  // namespace asmlp::histogram_test
