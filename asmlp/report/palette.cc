#include "asmlp/report/palette.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "asmlp/model/palette_color.h"

namespace asmlp {
namespace {

// The sRGB transfer function, linear [0, 1] to a byte.
uint8_t encode_srgb(double linear) {
  const double clipped = std::clamp(linear, 0.0, 1.0);
  const double encoded =
      clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * std::pow(clipped, 1 / 2.4) - 0.055;
  return static_cast<uint8_t>(std::lround(encoded * 255));
}

std::string hex(Color color) { return palette_text({color.r, color.g, color.b}); }

}  // namespace

std::string css_properties(const Palette& palette) {
  const Paints paints = literal_paints(palette);
  std::string text =
      fmt::format("--page: {}; --paper: {}; --ink: {}; --muted: {}; --grid: {};", hex(palette.page),
                  paints.paper, paints.ink, paints.muted, paints.grid);
  for (size_t s = 0; s < paints.series.size(); ++s) {
    text += fmt::format(" --series-{}: {};", s + 1, paints.series[s]);
  }
  return text;
}

Paints literal_paints(const Palette& palette) {
  Paints paints{hex(palette.paper), hex(palette.ink), hex(palette.muted), hex(palette.grid), {}};
  std::ranges::transform(palette.series, paints.series.begin(), hex);
  return paints;
}

Paints property_paints() {
  Paints paints{"var(--paper)", "var(--ink)", "var(--muted)", "var(--grid)", {}};
  for (size_t s = 0; s < paints.series.size(); ++s) {
    paints.series[s] = fmt::format("var(--series-{})", s + 1);
  }
  return paints;
}

Color from_oklch(double lightness, double chroma, double hue) {
  const double angle = hue * std::numbers::pi / 180;
  const double a = chroma * std::cos(angle);
  const double b = chroma * std::sin(angle);
  const double l_root = lightness + 0.3963377774 * a + 0.2158037573 * b;
  const double m_root = lightness - 0.1055613458 * a - 0.0638541728 * b;
  const double s_root = lightness - 0.0894841775 * a - 1.2914855480 * b;
  const double l = l_root * l_root * l_root;
  const double m = m_root * m_root * m_root;
  const double s = s_root * s_root * s_root;
  return {encode_srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          encode_srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          encode_srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

Color heat_color(double value) {
  const double v = std::clamp(value, 0.0, 1.0);
  // Violet (310 degrees) over blue and green to yellow (105). The chroma stays just inside what
  // sRGB holds along this path (the narrowest place is 0.101 at v = 0.45): clipping would show as
  // bands.
  const double hue = 310 - 205 * v;
  const double early = v < 0.4 ? std::sin(std::numbers::pi * v / 0.4) : 0;
  const double late = v > 0.45 ? std::pow((v - 0.45) / 0.55, 1.5) : 0;
  const double chroma = 0.098 + 0.04 * early * early + 0.09 * late;
  return from_oklch(0.25 + 0.68 * v, chroma, hue);
}

Color mix(Color a, Color b, double weight) {
  const auto channel = [&](uint8_t from, uint8_t to) {
    return static_cast<uint8_t>(std::lround(from + (to - from) * weight));
  };
  return {channel(a.r, b.r), channel(a.g, b.g), channel(a.b, b.b)};
}

}  // namespace asmlp
