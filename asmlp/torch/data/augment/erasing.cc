#include "asmlp/torch/data/augment/erasing.h"

#include <algorithm>
#include <cmath>

#include "asmlp/torch/data/augment/noise.h"

namespace asmlp::data {
namespace {

void erase_one(std::span<float> values, int channels, int height, int width, EraseMode mode,
               double area, Random& random) {
  const double log_ratio = std::log(1 / 0.3);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(0.02, 1.0 / 3.0);
    const double aspect = std::exp(random.uniform(-log_ratio, log_ratio));
    const int h = static_cast<int>(std::lround(std::sqrt(target * aspect)));
    const int w = static_cast<int>(std::lround(std::sqrt(target / aspect)));
    if (h < 1 || w < 1 || h >= height || w >= width) continue;
    const int top = static_cast<int>(random.below(height - h + 1));
    const int left = static_cast<int>(random.below(width - w + 1));
    for (int c = 0; c < channels; ++c) {
      for (int y = top; y < top + h; ++y) {
        const auto row = values.subspan((size_t(c) * height + y) * width + left, w);
        if (mode == EraseMode::kPixel) {
          normals(row, random);
        } else {
          std::fill(row.begin(), row.end(), 0.0f);
        }
      }
    }
    return;
  }
}

}  // namespace

void erase_rectangles(std::span<float> values, int channels, int height, int width, EraseMode mode,
                      int most, Random& random) {
  const int count = most == 1 ? 1 : 1 + static_cast<int>(random.below(most));
  const double area = double{1} * height * width / count;
  for (int i = 0; i < count; ++i) {
    erase_one(values, channels, height, width, mode, area, random);
  }
}

}  // namespace asmlp::data
