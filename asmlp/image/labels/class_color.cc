#include "asmlp/image/labels/class_color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

namespace asmlp {
namespace {

constexpr int kClassColors = 256;
constexpr Color kDarkText{20, 20, 20}, kLightText{255, 255, 255}, kGray{128, 128, 128};

struct Lab {
  double lightness = 0, a = 0, b = 0;
  double chroma() const { return std::hypot(a, b); }
};

double linear(uint8_t byte) {
  const double v = byte / 255.0;
  return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
}

Lab to_oklab(Color color) {
  const double r = linear(color.r), g = linear(color.g), b = linear(color.b);
  const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

double distance(const Lab& a, const Lab& b) {
  return std::hypot(a.lightness - b.lightness, a.a - b.a, a.b - b.b);
}

struct Candidate {
  Color color;
  Lab lab;
  bool calm = false;
  // To the nearest color that was taken.
  double near = std::numeric_limits<double>::max();
  int near_rgb = std::numeric_limits<int>::max();
};

// A grid over the colors that are seen on photographs, and neither text nor paper nor the gray of a
// background.
std::vector<Candidate> candidates() {
  std::vector<Candidate> all;
  for (int r = 0; r <= 255; r += 15) {
    for (int g = 0; g <= 255; g += 15) {
      for (int b = 0; b <= 255; b += 15) {
        const Color color{static_cast<uint8_t>(r), static_cast<uint8_t>(g),
                          static_cast<uint8_t>(b)};
        const Lab lab = to_oklab(color);
        const bool seen = lab.lightness >= 0.4 && lab.lightness <= 0.9 &&
                          color_distance(color, kDarkText) >= kColorDistance &&
                          color_distance(color, kLightText) >= kColorDistance &&
                          color_distance(color, kGray) >= kColorDistance;
        if (!seen) continue;
        const bool calm = lab.lightness >= 0.5 && lab.lightness <= 0.82 && lab.chroma() >= 0.085 &&
                          lab.chroma() <= 0.21;
        all.push_back({color, lab, calm});
      }
    }
  }
  return all;
}

std::array<Color, kClassColors> make_colors() {
  constexpr double kCalmDistance = 0.12;  // a calm color must be as far as that from the others
  std::vector<Candidate> all = candidates();
  std::array<Color, kClassColors> colors;
  Color next{30, 105, 195};
  for (Color& color : colors) {
    color = next;
    const Lab lab = to_oklab(color);
    const Candidate *calm = nullptr, *far = nullptr, *last = &all.front();
    for (Candidate& c : all) {
      c.near = std::min(c.near, distance(c.lab, lab));
      c.near_rgb = std::min(c.near_rgb, color_distance(c.color, color));
      if (c.near_rgb > last->near_rgb) last = &c;
      if (c.near_rgb < kColorDistance) continue;
      if (!far || c.near > far->near) far = &c;
      if (c.calm && c.near >= kCalmDistance && (!calm || c.near > calm->near)) calm = &c;
    }
    next = (calm ? calm : far ? far : last)->color;
  }
  return colors;
}

double luminance(Color color) {
  return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b);
}

double contrast(Color a, Color b) {
  const double x = luminance(a) + 0.05, y = luminance(b) + 0.05;
  return std::max(x, y) / std::min(x, y);
}

}  // namespace

int color_distance(Color a, Color b) {
  return std::abs(a.r - b.r) + std::abs(a.g - b.g) + std::abs(a.b - b.b);
}

Color class_color(int label) {
  static const std::array<Color, kClassColors> colors = make_colors();
  return colors[static_cast<size_t>(label) % kClassColors];
}

Color text_color_on(Color background) {
  return contrast(background, kDarkText) > contrast(background, kLightText) ? kDarkText
                                                                            : kLightText;
}

}  // namespace asmlp
