// What the tests of image operations share: the form of their golden files.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/image/image.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// The parts of a case's name, "source/operation/argument".
inline std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// An H x W (gray) or H x W x 3 tensor of bytes as an image.
inline Image image_of(const Tensor& tensor) {
  Image image(static_cast<int>(tensor.shape.at(0)), static_cast<int>(tensor.shape.at(1)),
              tensor.shape.size() == 3 ? 3 : 1);
  std::memcpy(image.pixels.data(), tensor.bytes.data(), image.pixels.size());
  return image;
}

// Values 20..219.
inline Image noise_image(int height, int width, int channels, uint64_t seed = 1) {
  Image image(height, width, channels);
  Random random(seed);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(20 + random.below(200));
  return image;
}

}  // namespace asmlp::data
