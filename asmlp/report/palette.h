// Colors for numbers.
#pragma once

#include <cstdint>

#include "asmlp/image/color.h"

namespace asmlp {

// A color by lightness L in [0, 1], chroma and hue (degrees) of the OKLCh space, clipped to sRGB.
// B. Ottosson, "A perceptual color space for image processing", 2020.
Color from_oklch(double lightness, double chroma, double hue);

// Low to high as dark violet, blue, teal, green, yellow: lightness rises evenly, so the order of
// values survives gray print and color blindness. `value` is clamped to [0, 1].
Color heat_color(double value);

// Weighted mean of two colors in sRGB; weight 1 gives `b`.
Color mix(Color a, Color b, double weight);

}  // namespace asmlp
