// A color of 8 bits a channel.
#pragma once

#include <cstdint>

namespace asmlp {

struct Color {
  uint8_t r = 0;
  uint8_t g = 0;
  uint8_t b = 0;
  bool operator==(const Color&) const = default;
};

}  // namespace asmlp
