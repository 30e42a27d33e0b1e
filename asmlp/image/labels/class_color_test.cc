#include "asmlp/image/labels/class_color.h"

#include <gtest/gtest.h>

#include <cmath>

namespace asmlp::class_color_test {
namespace {

constexpr Color kInk{0x1c, 0x24, 0x30}, kPaper{0xff, 0xff, 0xff}, kBlack{0, 0, 0},
    kGray{128, 128, 128};

// As any number of classes takes the first ones, this is the property for every number of them.
TEST(ClassColor, TheFirstOnesDifferFromOneAnotherAndFromTextPaperAndGray) {
  for (int a = 0; a < kDistinctColors; ++a) {
    for (const Color other : {kInk, kPaper, kBlack, kGray}) {
      EXPECT_GE(color_distance(class_color(a), other), kColorDistance) << a;
    }
    for (int b = 0; b < a; ++b) {
      ASSERT_GE(color_distance(class_color(a), class_color(b)), kColorDistance) << a << ' ' << b;
    }
  }
  // Of 256 colors no two are the same.
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < a; ++b) EXPECT_NE(class_color(a), class_color(b)) << a << ' ' << b;
    EXPECT_EQ(class_color(a + 256), class_color(a));
  }
}

// The contrast ratio by WCAG 2.1, written anew.
double ratio(Color a, Color b) {
  const auto luminance = [](Color c) {
    const auto linear = [](double v) {
      return v / 255 <= 0.04045 ? v / 255 / 12.92 : std::pow((v / 255 + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b) + 0.05;
  };
  const double x = luminance(a), y = luminance(b);
  return x > y ? x / y : y / x;
}

TEST(TextColorOn, IsReadableOnEveryColor) {
  for (int r = 0; r < 256; r += 5) {
    for (int g = 0; g < 256; g += 5) {
      for (int b = 0; b < 256; b += 5) {
        const Color color{uint8_t(r), uint8_t(g), uint8_t(b)};
        ASSERT_GE(ratio(text_color_on(color), color), 4) << r << ' ' << g << ' ' << b;
      }
    }
  }
  EXPECT_EQ(text_color_on({255, 255, 0}), (Color{20, 20, 20}));
  EXPECT_EQ(text_color_on({0, 0, 128}), kPaper);
}

}  // namespace
}  // namespace asmlp::class_color_test
