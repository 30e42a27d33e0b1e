#include "asmlp/torch/data/augment/transforms.h"

#include <algorithm>
#include <cmath>

#include "asmlp/image/decode.h"
#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/schema/fields.h"

namespace asmlp::data {
namespace {

std::span<const std::byte> bytes_of(const Sample& sample) {
  return std::as_bytes(std::span(sample.encoded));
}

Image with_channels(Image image, size_t channels) {
  if (image.channels == static_cast<int>(channels)) return image;
  return channels == 1 ? to_gray(image) : to_rgb(image);
}

// The image as for evaluation, moved by up to `padding` pixels either way.
Image padded_crop(const Sample& sample, const Preprocessing& preprocessing, int padding,
                  Random& random) {
  const int channels = static_cast<int>(preprocessing.mean.size());
  Image view;
  if (!sample.encoded.empty()) {
    view = resize_and_crop(decode_image(bytes_of(sample), sample.name, sample.decoding),
                           preprocessing, channels);
  } else if (sample.view.pixels != nullptr) {
    view = resize_and_crop(copy_of(sample.view), preprocessing, channels);
  } else {
    view = resize_and_crop(sample.image, preprocessing, channels);
  }
  const int y = static_cast<int>(random.below(2 * padding + 1)) - padding;
  const int x = static_cast<int>(random.below(2 * padding + 1)) - padding;
  return crop(view, {y, x, preprocessing.size, preprocessing.size});
}

Image resized_crop(const Sample& sample, const Preprocessing& preprocessing,
                   const Augmentation& augmentation, Random& random) {
  const auto choose = [&](int height, int width) {
    return random_resized_window(height, width, augmentation.scale, augmentation.ratio, random);
  };
  const size_t channels = preprocessing.mean.size();
  const int size = preprocessing.size;
  if (sample.encoded.empty()) {
    const PixelView image = picture_of(sample);
    const Image view = with_channels(crop(image, choose(image.height, image.width)), channels);
    return resize(view, size, size, draw_interpolation(augmentation.interpolation, random));
  }
  if (augmentation.decode == CropDecoding::kFast) {
    ScaledWindow window =
        decode_scaled_window(bytes_of(sample), sample.name, choose, size, size, sample.decoding);
    return resize_box(with_channels(std::move(window.image), channels), size, size, window.box,
                      draw_interpolation(augmentation.interpolation, random));
  }
  const Image view = with_channels(
      decode_image_window(bytes_of(sample), sample.name, choose, sample.decoding), channels);
  return resize(view, size, size, draw_interpolation(augmentation.interpolation, random));
}

}  // namespace

PixelView picture_of(const Sample& sample) {
  return sample.view.pixels != nullptr ? sample.view : PixelView(sample.image);
}

void validate(const Augmentation& augmentation) {
  check_ranges(augmentation, "");
  check_order("scale", augmentation.scale);
  check_order("ratio", augmentation.ratio);
}

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

std::array<uint8_t, 3> fill_color(const Preprocessing& preprocessing) {
  std::array<uint8_t, 3> fill{};
  for (size_t c = 0; c < std::min(fill.size(), preprocessing.mean.size()); ++c) {
    fill[c] =
        static_cast<uint8_t>(std::clamp(std::lround(preprocessing.mean[c] * 255.0), 0l, 255l));
  }
  return fill;
}

void transform_for_training(const Sample& sample, const Preprocessing& preprocessing,
                            const Augmentation& augmentation, Random& random,
                            std::span<float> out) {
  const int channels = static_cast<int>(preprocessing.mean.size());
  const int size = preprocessing.size;
  Image view = augmentation.crop_padding
                   ? padded_crop(sample, preprocessing, *augmentation.crop_padding, random)
                   : resized_crop(sample, preprocessing, augmentation, random);
  if (random.uniform() < augmentation.hflip) flip_horizontally(view);
  // Recipes without it draw what they always drew.
  if (augmentation.vflip > 0 && random.uniform() < augmentation.vflip) view = flip_vertical(view);
  if (augmentation.rand_augment) {
    thread_local AugmentContext context;  // keeps its buffer from image to image
    context.interpolation = augmentation.interpolation;
    context.fill = fill_color(preprocessing);
    rand_augment(view, *augmentation.rand_augment, context, random);
  } else if (augmentation.color_jitter > 0) {
    color_jitter(view, augmentation.color_jitter, random);
  }
  normalize(view, preprocessing, out);
  if (random.uniform() < augmentation.erase_probability) {
    erase_rectangles(out, channels, size, size, augmentation.erase_mode, augmentation.erase_count,
                     random);
  }
}

void transform_for_evaluation(const Image& image, const Preprocessing& preprocessing,
                              std::span<float> out) {
  const int channels = static_cast<int>(preprocessing.mean.size());
  normalize(resize_and_crop(image, preprocessing, channels), preprocessing, out);
}

}  // namespace asmlp::data
