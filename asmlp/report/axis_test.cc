#include "asmlp/report/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/error.h"

namespace asmlp::axis_test {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

TEST(Axis, TicksAreRoundAndInside) {
  EXPECT_THAT(make_axis({0, 1}, 5, AxisKind::kTight).ticks,
              ElementsAre(0, 0.2, DoubleEq(0.4), DoubleEq(0.6), 0.8, 1));
  std::mt19937 random(3);
  std::uniform_real_distribution<double> exponent(-9, 9), share(-3, 3);
  for (int i = 0; i < 500; ++i) {
    const double span = std::pow(10, exponent(random)), low = span * share(random);
    const double margin = span * 1e-6;
    for (const AxisKind kind : {AxisKind::kTight, AxisKind::kRound}) {
      const Axis axis = make_axis({low, low + span}, 5, kind);
      ASSERT_GE(axis.ticks.size(), 2u);
      ASSERT_LE(axis.ticks.size(), 12u);
      EXPECT_GE(axis.ticks.front(), axis.low - margin);
      EXPECT_LE(axis.ticks.back(), axis.high + margin);
      const double step = axis.ticks[1] - axis.ticks[0];
      const double digit = step / std::pow(10, std::floor(std::log10(step * (1 + 1e-9))));
      EXPECT_NEAR(digit * (digit - 1) * (digit - 2) * (digit - 5), 0, 1e-4) << step;
      if (kind == AxisKind::kTight) {
        EXPECT_EQ(axis.low, low);
        EXPECT_EQ(axis.high, low + span);
      } else {
        EXPECT_LE(axis.low, low + margin);
        EXPECT_GE(axis.high, low + span - margin);
        EXPECT_NEAR(axis.ticks.front(), axis.low, margin);
        EXPECT_NEAR(axis.ticks.back(), axis.high, margin);
      }
    }
  }
}

TEST(Axis, PercentagesEndAtAHundred) {
  std::mt19937 random(4);
  std::uniform_real_distribution<double> value(0, 105);
  for (int i = 0; i < 500; ++i) {
    Range values;
    for (int k = 0; k < 2; ++k) values.add(value(random));
    const Axis axis = make_axis(values, 5, AxisKind::kRound, kPercentages);
    EXPECT_GE(axis.low, 0);
    EXPECT_LE(axis.high, 100);
    EXPECT_LT(axis.low, axis.high);
    ASSERT_GE(axis.ticks.size(), 2u);
    EXPECT_NEAR(axis.ticks.back(), axis.high, 1e-9);
  }
  // One value alone, at either end, and a deviation that reaches beyond.
  EXPECT_EQ(make_axis({100, 100}, 5, AxisKind::kRound, kPercentages).high, 100);
  EXPECT_EQ(make_axis({0, 0}, 5, AxisKind::kRound, kPercentages).low, 0);
  const Axis near = make_axis({97.1, 101.3}, 5, AxisKind::kRound, kPercentages);
  EXPECT_EQ(near.high, 100);
  EXPECT_EQ(near.share(101.3), 1);
}

TEST(Axis, PlacesValuesBetweenItsEnds) {
  const Axis linear = make_axis({10, 20}, 5, AxisKind::kTight);
  EXPECT_EQ(linear.share(10), 0);
  EXPECT_EQ(linear.share(15), 0.5);
  EXPECT_EQ(linear.share(25), 1);
  const Axis logarithmic = make_axis({1e-3, 1e3}, 5, AxisKind::kLogarithmic);
  EXPECT_DOUBLE_EQ(logarithmic.share(1), 0.5);
  EXPECT_EQ(logarithmic.ticks.size(), 7u);
  EXPECT_THROW(make_axis({0, 1}, 5, AxisKind::kLogarithmic), Error);
  EXPECT_THROW(make_axis({}, 5, AxisKind::kTight), Error);
  EXPECT_THROW(make_axis({0, INFINITY}, 5, AxisKind::kTight), Error);
}

// Two losses that differ in their last bit made as many ticks as fit into memory.
TEST(Axis, NeighboringNumbersCountAsOne) {
  const Axis axis = make_axis({1, std::nextafter(1, 2)}, 5, AxisKind::kTight);
  EXPECT_DOUBLE_EQ(axis.low, 0.9);
  EXPECT_LE(axis.ticks.size(), 11u);
}

TEST(Axis, NumbersAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.1 + 0.2), "0.3");
  EXPECT_EQ(short_number(-1250), "-1250");
  EXPECT_EQ(short_number(1.5e-4), "1.5e-4");
  EXPECT_EQ(short_number(2e6), "2e6");
}

}  // namespace
}  // namespace asmlp::axis_test
