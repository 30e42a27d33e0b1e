#include "asmlp/cli/bench/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "asmlp/core/error.h"

namespace asmlp::cli::statistics_test {
namespace {

TEST(Statistics, OfAnEvenlySpacedRampInAnyOrder) {
  std::vector<double> ramp;  // 0, 10, ..., 100: the quantile q is 100 q
  for (int i = 0; i <= 10; ++i) ramp.push_back(10 * i);
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(ramp.begin(), ramp.end(), random);
    const Statistics found = summarize(ramp);
    EXPECT_DOUBLE_EQ(found.median, 50);
    EXPECT_DOUBLE_EQ(found.min, 0);
    EXPECT_DOUBLE_EQ(found.p10, 10);
    EXPECT_DOUBLE_EQ(found.p90, 90);
    EXPECT_DOUBLE_EQ(quantile(ramp, 0.234), 23.4);
    EXPECT_DOUBLE_EQ(quantile(ramp, 1), 100);
  }
}

TEST(Statistics, OneSlowRunDoesNotMoveTheMedian) {
  std::vector<double> samples(9, 2.0);
  samples.push_back(1000);
  const Statistics found = summarize(samples);
  EXPECT_EQ(found.median, 2);
  EXPECT_EQ(found.p10, 2);
  EXPECT_GT(found.p90, 2);
}

TEST(Statistics, OfOneOrTwoSamplesAndOfNone) {
  EXPECT_EQ(summarize({7}).p90, 7);
  EXPECT_EQ(summarize({3, 1}).median, 2);
  EXPECT_THROW(summarize({}), Error);
  EXPECT_THROW(quantile({1}, 1.5), Error);
}

}  // namespace
}  // namespace asmlp::cli::statistics_test
