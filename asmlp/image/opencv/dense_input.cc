#include "asmlp/image/opencv/dense_input.h"

#include <algorithm>
#include <array>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

using Table = std::array<float, 256>;

// In the precisions of mmcv's imnormalize: constants of fp32, a product of doubles.
Table normalization(double mean, double std) {
  Table table;
  const auto single_mean = static_cast<float>(mean);
  const double scale = 1.0 / static_cast<float>(std);
  for (int v = 0; v < 256; ++v) {
    table[static_cast<size_t>(v)] =
        static_cast<float>(static_cast<double>(static_cast<float>(v) - single_mean) * scale);
  }
  return table;
}

}  // namespace

CvSize padded_size(CvSize size, const DenseInput& input) {
  const auto padded = [&](int side) {
    return (side + input.pad_multiple - 1) / input.pad_multiple * input.pad_multiple;
  };
  return {padded(size.height), padded(size.width)};
}

void normalize_into(const Image& rgb, const DenseInput& input, int padded_height, int padded_width,
                    std::span<float> planes) {
  const auto channels = static_cast<size_t>(rgb.channels);
  require(channels == input.mean.size(), ErrorCode::kMismatch,
          "the image has {} channels, the model takes {}", channels, input.mean.size());
  require(rgb.height <= padded_height && rgb.width <= padded_width, ErrorCode::kInvalidArgument,
          "an image of {} x {} does not fit into an input of {} x {}", rgb.height, rgb.width,
          padded_height, padded_width);
  const auto width = static_cast<size_t>(padded_width);
  const size_t plane = static_cast<size_t>(padded_height) * width;
  require(planes.size() == channels * plane, ErrorCode::kInvalidArgument,
          "an input of {} x {} x {} has {} numbers, not {}", channels, padded_height, padded_width,
          channels * plane, planes.size());
  std::vector<Table> tables;
  for (size_t c = 0; c < channels; ++c) {
    tables.push_back(normalization(input.mean[c], input.std[c]));
  }
  const auto filled = static_cast<size_t>(rgb.width);
  for (int y = 0; y < rgb.height; ++y) {
    const uint8_t* from = rgb.row(y);
    for (size_t c = 0; c < channels; ++c) {
      const Table& table = tables[c];
      float* to = planes.data() + c * plane + static_cast<size_t>(y) * width;
      for (size_t x = 0; x < filled; ++x) to[x] = table[from[x * channels + c]];
      std::fill(to + filled, to + width, 0.0f);
    }
  }
  for (size_t c = 0; c < channels; ++c) {
    const size_t rows = static_cast<size_t>(rgb.height) * width;
    std::fill_n(planes.data() + c * plane + rows, plane - rows, 0.0f);
  }
}

}  // namespace asmlp
