#include "asmlp/dataset/hold_out.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::hold_out_test {
namespace {

std::set<std::string> held_names(const std::vector<HoldOutSample>& samples, double fraction,
                                 uint64_t seed) {
  const std::vector<bool> held = hold_out(samples, fraction, seed, "data");
  std::set<std::string> names;
  for (size_t i = 0; i < held.size(); ++i) {
    if (held[i]) names.insert(samples[i].name);
  }
  return names;
}

TEST(HoldOut, DependsOnNamesAndSeedAndTakesTheShareOfEveryStratum) {
  std::mt19937 random(5);
  std::vector<HoldOutSample> samples;
  for (int i = 0; i < 500; ++i)
    samples.push_back({"image" + std::to_string(i), i % 7 == 0 ? 1 : 0});
  for (const double fraction : {0.1, 0.25, 0.5, 0.9}) {
    const std::set<std::string> names = held_names(samples, fraction, 3);
    EXPECT_NEAR(double(names.size()), fraction * 500, 1);
    std::map<int, double> wanted, taken;
    for (const HoldOutSample& sample : samples) {
      wanted[sample.stratum] += fraction;
      taken[sample.stratum] += names.contains(sample.name);
    }
    for (const auto& [stratum, count] : wanted) EXPECT_NEAR(taken[stratum], count, 1) << stratum;
    std::ranges::shuffle(samples, random);
    EXPECT_EQ(held_names(samples, fraction, 3), names);
    EXPECT_NE(held_names(samples, fraction, 4), names);
  }
}

TEST(HoldOut, SmallDataKeepsEveryClassInTraining) {
  std::vector<HoldOutSample> samples;
  for (int i = 0; i < 10; ++i) samples.push_back({std::to_string(i), i / 2});
  for (const double fraction : {0.01, 0.3, 0.99}) {
    std::map<int, int> left;
    const std::set<std::string> names = held_names(samples, fraction, 0);
    EXPECT_FALSE(names.empty());
    for (const HoldOutSample& sample : samples)
      left[sample.stratum] += !names.contains(sample.name);
    for (const auto& [stratum, count] : left) EXPECT_GE(count, 1) << stratum;
  }
  // Where every class has one image, one of them is held out all the same.
  EXPECT_EQ(held_names({{"a", 0}, {"b", 1}}, 0.1, 0).size(), 1u);
  test::error_of(ErrorCode::kInvalidArgument, [&] { held_names({{"a", 0}}, 0.5, 0); });
}

}  // namespace
}  // namespace asmlp::hold_out_test
