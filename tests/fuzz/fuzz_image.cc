// Any bytes as an image file: an Error or an image within the limit, nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMaxPixels = 1 << 18;
  for (const asmlp::PixelStyle style : {asmlp::PixelStyle::kPillow, asmlp::PixelStyle::kOpenCv}) {
    try {
      const asmlp::Image image =
          asmlp::decode_image(std::as_bytes(std::span(data, size)), "fuzz input",
                              {.max_pixels = kMaxPixels, .style = style});
      const int64_t pixels = int64_t{image.height} * image.width;
      if (pixels < 1 || pixels > kMaxPixels ||
          image.pixels.size() != static_cast<size_t>(pixels) * image.channels) {
        std::abort();
      }
    } catch (const asmlp::Error&) {
    }
  }
  return 0;
}
