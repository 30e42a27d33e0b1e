// The colors of a palette as a description has them: "#rrggbb" (check_palette of dense_spec.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace asmlp {

using PaletteColor = std::array<uint8_t, 3>;  // R, G, B

std::string palette_text(const PaletteColor& color);

// `text` must be of that form.
PaletteColor palette_color(const std::string& text);

}  // namespace asmlp
