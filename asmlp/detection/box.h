// Boxes and sizes in pixels, in continuous coordinates: a box is x2 - x1 wide, never one more.
#pragma once

#include <cstdint>

namespace asmlp::detect {

struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  bool operator==(const Box&) const = default;
};

// Of an image as it was resized, without the padding, unless something else is said.
struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const ImageSize&) const = default;
};

}  // namespace asmlp::detect
