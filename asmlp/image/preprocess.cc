#include "asmlp/image/preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/image/resize.h"

namespace asmlp {

Image to_gray(const Image& image) {
  if (image.channels == 1) return image;
  Image gray(image.height, image.width, 1);
  const uint8_t* rgb = image.pixels.data();
  for (uint8_t& value : gray.pixels) {
    value =
        static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
    rgb += 3;
  }
  return gray;
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image rgb(image.height, image.width, 3);
  uint8_t* out = rgb.pixels.data();
  for (const uint8_t value : image.pixels) {
    out[0] = out[1] = out[2] = value;
    out += 3;
  }
  return rgb;
}

Image resize_and_crop(const Image& image, const Preprocessing& preprocessing, int channels) {
  const int size = preprocessing.size;
  require(channels == 1 || channels == 3, ErrorCode::kInvalidArgument,
          "a network input of {} channels; images have 1 or 3", channels);
  require(size >= 1 && preprocessing.crop_pct > 0 && preprocessing.crop_pct <= 1,
          ErrorCode::kInvalidArgument,
          "preprocessing with size {} and crop_pct {}; size is >= 1, crop_pct in (0, 1]", size,
          preprocessing.crop_pct);
  const double short_side = std::floor(size / preprocessing.crop_pct);
  require(
      short_side <= 65536, ErrorCode::kTooLarge,
      "preprocessing with size {} and crop_pct {} resizes to a short side of {}; 65536 is the most",
      size, preprocessing.crop_pct, short_side);
  if (image.channels != channels) {
    return resize_and_crop(channels == 1 ? to_gray(image) : to_rgb(image), preprocessing, channels);
  }
  // The short side is at least the crop, so nothing is padded and only the crop need be computed.
  const auto [height, width] =
      short_side_target(image.height, image.width, static_cast<int>(short_side));
  const Window window{center_offset(height, size), center_offset(width, size), size, size};
  return resize_window(image, height, width, window, preprocessing.interpolation);
}

void normalize(const Image& image, const Preprocessing& preprocessing, std::span<float> out) {
  const size_t area = static_cast<size_t>(image.height) * image.width;
  const size_t channels = static_cast<size_t>(image.channels);
  require(preprocessing.mean.size() == channels && preprocessing.std.size() == channels,
          ErrorCode::kMismatch,
          "an image of {} channels, but the preprocessing has {} means and {} standard deviations",
          channels, preprocessing.mean.size(), preprocessing.std.size());
  require(out.size() == area * channels, ErrorCode::kMismatch,
          "normalize writes {} values ({} x {} x {}), the destination holds {}", area * channels,
          channels, image.height, image.width, out.size());
  // Only 256 values are possible: the divisions of the definition, without their cost.
  std::array<std::array<float, 256>, 3> tables;
  for (size_t c = 0; c < channels; ++c) {
    for (int value = 0; value < 256; ++value) {
      tables[c][value] =
          (static_cast<float>(value) / 255.0f - preprocessing.mean[c]) / preprocessing.std[c];
    }
  }
  const uint8_t* in = image.pixels.data();
  float* to = out.data();
  if (channels == 1) {
    for (size_t i = 0; i < area; ++i) to[i] = tables[0][in[i]];
  } else {
    for (size_t i = 0; i < area; ++i, in += 3) {
      to[i] = tables[0][in[0]];
      to[area + i] = tables[1][in[1]];
      to[2 * area + i] = tables[2][in[2]];
    }
  }
}

Image denormalize(std::span<const float> values, int height, int width,
                  std::span<const double> mean, std::span<const double> deviation, double white) {
  const size_t channels = mean.size();
  const size_t area = static_cast<size_t>(height) * static_cast<size_t>(width);
  require((channels == 1 || channels == 3) && deviation.size() == channels &&
              values.size() == channels * area,
          ErrorCode::kMismatch,
          "{} values of {} x {} pixels with {} means and {} standard deviations are no image",
          values.size(), height, width, channels, deviation.size());
  Image image(height, width, static_cast<int>(channels));
  for (size_t c = 0; c < channels; ++c) {
    const float* from = values.data() + c * area;
    uint8_t* to = image.pixels.data() + c;
    for (size_t i = 0; i < area; ++i, to += channels) {
      const double value = (double{from[i]} * deviation[c] + mean[c]) * white;
      *to =
          static_cast<uint8_t>(std::isnan(value) ? 0 : std::lround(std::clamp(value, 0.0, 255.0)));
    }
  }
  return image;
}

}  // namespace asmlp
