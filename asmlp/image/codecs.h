// The decoders behind decode_image, one per file format. Each takes the whole file in memory,
// checks the options' `max_pixels` before it allocates pixels, gives RGB as it is stored (the
// options' orientation is decode_image's business), and names `what` in its errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/image.h"

namespace asmlp {

// decode_scaled_window's for a decoder: the size that the window is to be resized to, and the box
// of the window in the image that came, when that is at a scale.
struct Scaling {
  int height = 0, width = 0;
  std::optional<Box> box = {};
};

// These two give the window that `choose` takes, or all of the image without one.
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options, const ChooseWindow& choose = {},
                  Scaling* scaling = nullptr);
Image decode_png(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options, const ChooseWindow& choose = {});
Image decode_webp(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options);
Image decode_bmp(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options);
Image decode_pnm(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options);
Image decode_tiff(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options);

// Scans of JPEG data, counted without decoding as far as `most` + 1, in the way that libjpeg finds
// them: fill bytes and restart markers are nothing, stuffed bytes are data, and of a segment that
// libjpeg knows the length leads past its content.
int count_jpeg_scans(std::span<const std::byte> bytes, int most);

// Error(kTooLarge) for JPEG data that takes far longer to decode than its bytes and pixels let
// expect: every scan is a pass over all `pixels`.
void check_jpeg_scans(std::span<const std::byte> bytes, int64_t pixels, const std::string& what);

// round(a * b / 255), the way Pillow rounds it.
constexpr uint32_t multiply_255(uint32_t a, uint32_t b) {
  const uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Error(kTooLarge) when a header announces more than `max_pixels`.
inline void check_image_size(int64_t height, int64_t width, int64_t max_pixels,
                             const std::string& what) {
  require(height >= 1 && width >= 1, ErrorCode::kBadFormat, "{}: an image of {} x {} pixels", what,
          width, height);
  require(height <= max_pixels / width, ErrorCode::kTooLarge,
          "{}: {} x {} pixels (width x height); {} pixels are the most (--max-pixels)", what, width,
          height, max_pixels);
}

// choose(height, width); Error(kInvalidArgument) when that is empty or not inside the image.
inline Window checked_window(const ChooseWindow& choose, int height, int width,
                             const std::string& what) {
  const Window w = choose(height, width);
  require(w.height >= 1 && w.width >= 1 && w.top >= 0 && w.left >= 0 &&
              w.top <= height - w.height && w.left <= width - w.width,
          ErrorCode::kInvalidArgument,
          "{}: the window {} x {} (height x width) at row {}, column {} is outside {} x {}", what,
          w.height, w.width, w.top, w.left, height, width);
  return w;
}

}  // namespace asmlp
