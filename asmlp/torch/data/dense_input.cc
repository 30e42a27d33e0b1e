#include "asmlp/torch/data/dense_input.h"

#include <array>

#include "asmlp/core/error.h"

namespace asmlp::data {

torch::Tensor normalized(const Image& rgb, const DenseInput& input) {
  const int64_t channels = rgb.channels, multiple = input.pad_multiple;
  require(size_t(channels) == input.mean.size(), ErrorCode::kMismatch,
          "the image has {} channels, the model takes {}", channels, input.mean.size());
  const auto padded = [&](int64_t side) { return (side + multiple - 1) / multiple * multiple; };
  const int64_t height = padded(rgb.height), width = padded(rgb.width);
  const torch::Tensor out = torch::zeros({channels, height, width});
  float* planes = out.data_ptr<float>();
  for (int64_t c = 0; c < channels; ++c) {
    std::array<float, 256> table;
    // In the precisions of mmcv's imnormalize: constants of fp32, a product of doubles.
    const auto mean = float(input.mean[c]);
    const double scale = 1.0 / float(input.std[c]);
    for (int v = 0; v < 256; ++v) table[v] = float(double(float(v) - mean) * scale);
    for (int y = 0; y < rgb.height; ++y) {
      const uint8_t* from = rgb.row(y) + c;
      float* to = planes + (c * height + y) * width;
      for (int x = 0; x < rgb.width; ++x) to[x] = table[from[x * channels]];
    }
  }
  return out;
}

TensorSample test_sample(const Image& rgb, const DenseInput& input) {
  const CvSize size = fitted_size(rgb.height, rgb.width, input.short_side, input.long_side);
  TensorSample sample;
  sample.image = normalized(resize_bilinear(rgb, size), input);
  sample.info.height = size.height;
  sample.info.width = size.width;
  sample.info.padded_height = sample.image.size(1);
  sample.info.padded_width = sample.image.size(2);
  sample.info.original_height = rgb.height;
  sample.info.original_width = rgb.width;
  return sample;
}

}  // namespace asmlp::data
