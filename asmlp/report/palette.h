// The named colors of charts and pages, and colors for numbers.
#pragma once

#include <array>
#include <string>

#include "asmlp/image/labels/color.h"

namespace asmlp {

struct Palette {
  Color page;   // behind the cards of a page
  Color paper;  // behind a chart
  Color ink;    // text
  Color muted;  // axes and what is said beside
  Color grid;
  std::array<Color, 4> series;
};

// Of every picture, and of pages where the reader prefers light.
inline constexpr Palette kLight{
    {0xf6, 0xf7, 0xf9},
    {0xff, 0xff, 0xff},
    {0x1c, 0x24, 0x30},
    {0x66, 0x70, 0x7f},
    {0xe6, 0xe9, 0xee},
    {{{0x25, 0x63, 0xc9}, {0xd9, 0x66, 0x2b}, {0x2a, 0x8f, 0x5c}, {0x8a, 0x4f, 0xc2}}}};
inline constexpr Palette kDark{
    {0x12, 0x16, 0x1c},
    {0x1b, 0x21, 0x29},
    {0xe4, 0xe8, 0xee},
    {0x97, 0xa1, 0xb0},
    {0x2b, 0x33, 0x3e},
    {{{0x6a, 0xa2, 0xf7}, {0xf0, 0x9a, 0x66}, {0x5c, 0xc4, 0x92}, {0xbd, 0x93, 0xea}}}};

// The palette as CSS custom properties: "--page: #f6f7f9; --paper: ...; --series-1: ...".
std::string css_properties(const Palette& palette);

// Colors as an attribute of SVG spells them.
struct Paints {
  std::string paper, ink, muted, grid;
  std::array<std::string, 4> series;
};
Paints literal_paints(const Palette& palette);  // "#1c2430": any program draws it
Paints property_paints();  // "var(--ink)": follows the css_properties of the page around it

// A color by lightness L in [0, 1], chroma and hue (degrees) of the OKLCh space, clipped to sRGB.
// B. Ottosson, "A perceptual color space for image processing", 2020.
Color from_oklch(double lightness, double chroma, double hue);

// Low to high as dark violet, blue, teal, green, yellow: lightness rises evenly, so the order of
// values survives gray print and color blindness. `value` is clamped to [0, 1].
Color heat_color(double value);

// Weighted mean of two colors in sRGB; weight 1 gives `b`.
Color mix(Color a, Color b, double weight);

}  // namespace asmlp
