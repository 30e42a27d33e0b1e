// The colors that classes without a published palette are drawn in.
#pragma once

#include "asmlp/image/labels/color.h"

namespace asmlp {

// Colors that differ pairwise by at least kColorDistance (the sum over the channels), from black
// and from white too.
inline constexpr int kDistinctColors = 240;
inline constexpr int kColorDistance = 60;

// |dr| + |dg| + |db|, 0..765.
int color_distance(Color a, Color b);

// The color of class `label` >= 0, always the same: each color lies as far as possible from those
// before it (in OKLab: B. Ottosson, "A perceptual color space for image processing", 2020), and the
// first ones are the calm ones. From the first again after 256.
Color class_color(int label);

// Near black or white: what is read better on `background` (the contrast ratio of WCAG 2.1, which
// is over 4).
Color text_color_on(Color background);

}  // namespace asmlp
