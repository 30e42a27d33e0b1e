// From a decoded image to the network's input: the evaluation pipeline of timm and torchvision.
#pragma once

#include <span>

#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"

namespace asmlp {

// ITU-R 601 luma as Pillow's convert("L"): (19595 R + 38470 G + 7471 B + 0x8000) >> 16. A gray
// image is returned as it is.
Image to_gray(const Image& image);

// Gray to RGB by repetition; an RGB image is returned as it is.
Image to_rgb(const Image& image);

// Resize the short side to floor(size / crop_pct), center crop: the 8-bit image the network sees,
// size x size. `channels` (1 or 3) converts gray <-> RGB first.
Image resize_and_crop(const Image& image, const Preprocessing& preprocessing, int channels);

// (value / 255 - mean) / std in fp32, HWC bytes to CHW floats; `out` has channels * height * width
// elements. mean.size() must equal image.channels.
void normalize(const Image& image, const Preprocessing& preprocessing, std::span<float> out);

// The image that normalize made `values` (CHW) of: value * deviation + mean per channel, times
// `white` (255 for a mean of values in 0..1, 1 for one of values in 0..255), rounded and clamped to
// a byte. Exact for what was a byte. mean.size() is the number of channels, 1 or 3, and
// values.size() channels * height * width: Error(kMismatch).
Image denormalize(std::span<const float> values, int height, int width,
                  std::span<const double> mean, std::span<const double> deviation,
                  double white = 255);

}  // namespace asmlp
