// Means, spreads, and verdicts against hand-computed values and against chance itself.
#include "asmlp/study/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

namespace asmlp::study::statistics_test {
namespace {

TEST(StudyStatistics, MeanDeviationAndPooledSpreadOfHandComputedSamples) {
  const Sample sample = describe_sample({90, 92, 97});
  EXPECT_DOUBLE_EQ(sample.mean, 93);
  EXPECT_DOUBLE_EQ(sample.deviation, std::sqrt(13));
  EXPECT_EQ(sample.min, 90);
  EXPECT_EQ(sample.max, 97);
  EXPECT_EQ(describe_sample({5}).deviation, 0);
  EXPECT_EQ(describe_sample({}).n, 0);
  // (2 * 13 + 1 * 2) / 3
  const Spread spread = pool({sample, describe_sample({1, 3}), describe_sample({7}), {}});
  EXPECT_EQ(spread.freedom, 3);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(28.0 / 3));
}

// Of two configurations the residual way is the paired t-test's: the differences 2, 4, 6 have the
// mean 4 and the deviation 2, so the standard error 2 / sqrt(3).
TEST(StudyStatistics, TwoConfigurationsAreComparedSeedBySeed) {
  const BySeed a{{1, 12}, {2, 34}, {3, 66}}, b{{1, 10}, {2, 30}, {3, 60}};
  const Spread residuals = residual_spread({a, b});
  EXPECT_EQ(residuals.freedom, 2);
  EXPECT_NEAR(residuals.deviation, 2 / std::sqrt(2), 1e-9);
  const auto found = compare(a, b, residuals);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->pairs, 3);
  EXPECT_DOUBLE_EQ(found->difference, 4);
  ASSERT_TRUE(found->standard_error);
  EXPECT_NEAR(*found->standard_error, 2 / std::sqrt(3), 1e-9);
  EXPECT_STREQ(found->verdict, "better");
  EXPECT_STREQ(compare(b, a, residuals)->verdict, "worse");
}

TEST(StudyStatistics, WithoutPairsOrSpreadNothingIsDecided) {
  const BySeed a{{1, 90}, {2, 91}}, one{{1, 10}}, other{{3, 10}};
  EXPECT_FALSE(compare(a, other, {1, 5}));
  EXPECT_FALSE(compare(a, {}, {1, 5}));
  const auto single = compare(a, one, {0.1, 5});
  ASSERT_TRUE(single);
  EXPECT_DOUBLE_EQ(single->difference, 80);
  EXPECT_STREQ(single->verdict, "undecided");  // one seed
  const auto unknown = compare(a, a, {});
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->standard_error);
  EXPECT_STREQ(unknown->verdict, "undecided");
}

// Exact sums a_c + b_s leave nothing, with gaps too; free constants are counted per connected part.
TEST(StudyStatistics, GapsCostDegreesOfFreedomOnly) {
  const std::vector<BySeed> gaps{
      {{1, 10.5}, {2, 11.0}, {3, 9.0}}, {{1, 20.5}, {3, 19.0}}, {{2, 31.0}, {3, 29.0}}, {}};
  EXPECT_EQ(residual_spread(gaps).freedom, 7 - 3 - 3 + 1);
  EXPECT_NEAR(residual_spread(gaps).deviation, 0, 1e-6);
  // {1, 2} and {8, 9} never meet: two parts.
  const std::vector<BySeed> apart{
      {{1, 1}, {2, 5}}, {{1, 2}, {2, 8}}, {{8, 1}, {9, 5}}, {{8, 2}, {9, 8}}};
  EXPECT_EQ(residual_spread(apart).freedom, 8 - 4 - 4 + 2);
  EXPECT_EQ(residual_spread({{{1, 3}}, {{1, 4}}}).freedom, 0);
  EXPECT_EQ(residual_spread({{{1, 3}, {2, 4}}}).freedom, 0);  // no configuration to pair with
  EXPECT_EQ(residual_spread({}).freedom, 0);
}

// What the legend says of chance, for many and for few degrees of freedom; the seeds' own share,
// large here, is no difference. Limits: four standard deviations of a binomial count.
TEST(StudyStatistics, ChanceGoesBeyondTwoErrorsAsOftenAsSaid) {
  EXPECT_NEAR(chance_beyond_two_errors(1), 0.2952, 1e-4);  // 1 - 2 atan(2) / pi
  EXPECT_NEAR(chance_beyond_two_errors(2), 1 - 2 / std::sqrt(6), 1e-9);
  EXPECT_NEAR(chance_beyond_two_errors(30), 0.0546, 1e-4);
  std::mt19937 random(5);
  std::normal_distribution<double> normal(90, 0.3), of_seed(0, 2);
  for (const auto& [variants, seeds] : {std::pair{16, 3}, std::pair{4, 2}}) {
    int beyond = 0;
    constexpr int kRounds = 5000;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<BySeed> results(static_cast<size_t>(variants));
      for (uint64_t seed = 1; seed <= static_cast<uint64_t>(seeds); ++seed) {
        const double share = of_seed(random);
        for (BySeed& result : results) result[seed] = normal(random) + share;
      }
      const auto found = compare(results[0], results[1], residual_spread(results));
      ASSERT_TRUE(found);
      beyond += std::string(found->verdict) != "undecided" ? 1 : 0;
    }
    const double expected = chance_beyond_two_errors((variants - 1) * (seeds - 1));
    const double error = std::sqrt(expected * (1 - expected) / kRounds);
    EXPECT_NEAR(double(beyond) / kRounds, expected, 4 * error) << variants << " x " << seeds;
  }
}

}  // namespace
}  // namespace asmlp::study::statistics_test
