#include "asmlp/model/palette_color.h"

#include <fmt/format.h>

namespace asmlp {

std::string palette_text(const PaletteColor& color) {
  return fmt::format("#{:02x}{:02x}{:02x}", color[0], color[1], color[2]);
}

PaletteColor palette_color(const std::string& text) {
  const unsigned long rgb = std::stoul(text.substr(1), nullptr, 16);
  return {static_cast<uint8_t>(rgb >> 16), static_cast<uint8_t>(rgb >> 8),
          static_cast<uint8_t>(rgb)};
}

}  // namespace asmlp
