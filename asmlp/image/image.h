// 8-bit images in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace asmlp {

// Row-major H x W x C, 8 bits per sample, no padding between rows.
struct Image {
  int height = 0;
  int width = 0;
  int channels = 3;  // 1 (gray) or 3 (RGB)
  std::vector<uint8_t> pixels;

  Image() = default;
  // All samples zero. Sizes must be >= 0 and channels 1 or 3.
  Image(int height, int width, int channels);
  const uint8_t* row(int y) const { return pixels.data() + size_t(y) * width * channels; }
  uint8_t* row(int y) { return pixels.data() + size_t(y) * width * channels; }
};

// Pixels as an Image has them, of whoever keeps them; null for none.
struct PixelView {
  const uint8_t* pixels = nullptr;
  int height = 0;
  int width = 0;
  int channels = 3;

  PixelView() = default;
  PixelView(const uint8_t* pixels, int height, int width, int channels)
      : pixels(pixels), height(height), width(width), channels(channels) {}
  PixelView(const Image& image)  // NOLINT: an image is a view of itself
      : PixelView(image.pixels.data(), image.height, image.width, image.channels) {}
  const uint8_t* row(int y) const { return pixels + size_t(y) * width * channels; }
};

// The pixels as an image of its own.
Image copy_of(const PixelView& view);

}  // namespace asmlp
