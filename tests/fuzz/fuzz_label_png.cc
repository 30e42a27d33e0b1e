// Any bytes as a label PNG: an Error or a label map within the limit, nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "asmlp/core/error.h"
#include "asmlp/image/labels/label_png.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMaxPixels = 1 << 18;
  try {
    const asmlp::Image labels = asmlp::decode_label_png(std::as_bytes(std::span(data, size)),
                                                        "fuzz input", {.max_pixels = kMaxPixels});
    const int64_t pixels = int64_t{labels.height} * labels.width;
    if (pixels < 1 || pixels > kMaxPixels || labels.channels != 1 ||
        labels.pixels.size() != static_cast<size_t>(pixels)) {
      std::abort();
    }
  } catch (const asmlp::Error&) {
  }
  return 0;
}
