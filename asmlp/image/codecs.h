// The decoders behind decode_image, one per file format. Each takes the whole file in memory,
// checks `max_pixels` before it allocates pixels, gives RGB, and names `what` in its errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/image/image.h"

namespace asmlp {

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& what, int64_t max_pixels);
Image decode_png(std::span<const std::byte> bytes, const std::string& what, int64_t max_pixels);
Image decode_webp(std::span<const std::byte> bytes, const std::string& what, int64_t max_pixels);

// Error(kTooLarge) when a header announces more than `max_pixels`.
inline void check_image_size(int64_t height, int64_t width, int64_t max_pixels,
                             const std::string& what) {
  require(height >= 1 && width >= 1, ErrorCode::kBadFormat, "{}: an image of {} x {} pixels", what,
          width, height);
  require(height <= max_pixels / width, ErrorCode::kTooLarge,
          "{}: {} x {} pixels (width x height); {} pixels are the most", what, width, height,
          max_pixels);
}

}  // namespace asmlp
