#include "asmlp/torch/data/transforms.h"

#include <algorithm>
#include <cmath>

#include "asmlp/image/preprocess.h"

namespace asmlp::data {

Window random_resized_window(int height, int width, const std::array<double, 2>& scale,
                             const std::array<double, 2>& ratio, Random& random) {
  const double area = double{1} * height * width;
  const double log_low = std::log(ratio[0]), log_high = std::log(ratio[1]);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(scale[0], scale[1]);
    const double aspect = std::exp(random.uniform(log_low, log_high));
    const int w = static_cast<int>(std::lround(std::sqrt(target * aspect)));
    const int h = static_cast<int>(std::lround(std::sqrt(target / aspect)));
    if (w >= 1 && w <= width && h >= 1 && h <= height) {
      const int y = static_cast<int>(random.below(height - h + 1));
      const int x = static_cast<int>(random.below(width - w + 1));
      return {y, x, h, w};
    }
  }
  const double image_ratio = double(width) / height;
  int w = width, h = height;
  if (image_ratio < ratio[0]) {
    h = std::clamp(static_cast<int>(std::lround(w / ratio[0])), 1, height);
  } else if (image_ratio > ratio[1]) {
    w = std::clamp(static_cast<int>(std::lround(h * ratio[1])), 1, width);
  }
  return {(height - h) / 2, (width - w) / 2, h, w};
}

void flip_horizontally(Image& image) {
  const int channels = image.channels;
  for (int y = 0; y < image.height; ++y) {
    uint8_t* row = image.row(y);
    for (int left = 0, right = image.width - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * channels, row + (left + 1) * channels, row + right * channels);
    }
  }
}

void erase_rectangle(std::span<float> values, int channels, int height, int width, EraseMode mode,
                     Random& random) {
  const double area = double{1} * height * width;
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
        float* row = values.data() + (size_t(c) * height + y) * width;
        for (int x = left; x < left + w; ++x) {
          row[x] = mode == EraseMode::kPixel ? static_cast<float>(random.normal()) : 0.0f;
        }
      }
    }
    return;
  }
}

void transform_for_training(const Image& image, const Preprocessing& preprocessing,
                            const Augmentation& augmentation, Random& random,
                            std::span<float> out) {
  const int channels = static_cast<int>(preprocessing.mean.size());
  const int size = preprocessing.size;
  Image view;
  if (augmentation.crop_padding) {
    view = resize_and_crop(image, preprocessing, channels);
    const int padding = *augmentation.crop_padding;
    const int y = static_cast<int>(random.below(2 * padding + 1)) - padding;
    const int x = static_cast<int>(random.below(2 * padding + 1)) - padding;
    view = asmlp::crop(view, {y, x, size, size});
  } else {
    view = channels == 1 ? to_grey(image) : to_rgb(image);
    view = asmlp::crop(view, random_resized_window(view.height, view.width, augmentation.scale,
                                                   augmentation.ratio, random));
    view = resize(view, size, size, preprocessing.interpolation);
  }
  if (random.uniform() < augmentation.hflip) flip_horizontally(view);
  normalize(view, preprocessing, out);
  if (random.uniform() < augmentation.erase_probability) {
    erase_rectangle(out, channels, size, size, augmentation.erase_mode, random);
  }
}

void transform_for_evaluation(const Image& image, const Preprocessing& preprocessing,
                              std::span<float> out) {
  const int channels = static_cast<int>(preprocessing.mean.size());
  normalize(resize_and_crop(image, preprocessing, channels), preprocessing, out);
}

}  // namespace asmlp::data
