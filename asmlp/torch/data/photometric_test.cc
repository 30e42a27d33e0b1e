#include "asmlp/torch/data/photometric.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace asmlp::data::photometric_test {
namespace {

// Gray stays gray and shows brightness and contrast: it is unchanged in a quarter of the cases.
TEST(Distort, ChangesAsOftenAndAsMuchAsItSays) {
  const int runs = 4000;
  int unchanged = 0, hue_kept = 0, paler = 0;
  double sum = 0;
  for (uint64_t seed = 0; seed < runs; ++seed) {
    Random random(mix64(seed));
    Image gray(1, 1, 3);
    std::fill_n(gray.row(0), 3, uint8_t{100});
    distort(gray, random);
    const int value = gray.row(0)[0];
    ASSERT_EQ(gray.row(0)[1], value);
    ASSERT_EQ(gray.row(0)[2], value);
    ASSERT_TRUE(value >= 33 && value <= 198) << value;  // (100 - 32) / 2, (100 + 32) * 1.5
    unchanged += value == 100;
    sum += value;
  }
  EXPECT_NEAR(unchanged / double(runs), 0.26, 0.03);  // cutting off leaves some more at 100
  EXPECT_NEAR(sum / runs, 99.5, 2);
  // Blue has hue 120 and full saturation, to which brightness leaves 100 / 132 at least.
  for (uint64_t seed = 0; seed < runs; ++seed) {
    Random random(mix64(seed));
    Image blue(1, 1, 3);
    blue.row(0)[0] = blue.row(0)[1] = 0;
    blue.row(0)[2] = 100;
    distort(blue, random);
    const uint8_t* v = blue.row(0);
    ASSERT_GE(v[2], std::max(v[0], v[1])) << seed;  // hues 102..137 are blue's
    hue_kept += v[0] == v[1];
    paler += std::min(v[0], v[1]) > 0.26 * v[2];
  }
  EXPECT_NEAR(hue_kept / double(runs), 0.5 + 0.5 / 36, 0.04);
  // A factor below 0.74 does it always, one above 1 never.
  EXPECT_TRUE(paler > 0.5 * 0.24 * runs - 80 && paler < 0.5 * 0.5 * runs + 80) << paler;
}

}  // namespace
}  // namespace asmlp::data::photometric_test
