#include "asmlp/image/preprocess.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/image/resize.h"

namespace asmlp::preprocess_test {
namespace {

Image random_image(int height, int width, int channels) {
  std::mt19937 random(static_cast<unsigned>(height * 1000 + width));
  Image image(height, width, channels);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random());
  return image;
}

TEST(Gray, IsPillowsLuma) {
  Image image(1, 4, 3);
  image.pixels = {255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255};
  EXPECT_EQ(to_gray(image).pixels, (std::vector<uint8_t>{255, 76, 150, 29}));
  // Gray to RGB and back is the identity for all 256 values.
  Image gray(1, 256, 1);
  for (int i = 0; i < 256; ++i) gray.pixels[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(to_gray(to_rgb(gray)).pixels, gray.pixels);
  EXPECT_EQ(to_gray(gray).pixels, gray.pixels);
  EXPECT_EQ(to_rgb(image).pixels, image.pixels);
}

TEST(ResizeAndCrop, EqualsResizeThenCrop) {
  for (const auto& [size, crop_pct, short_side] :
       {std::tuple{24, 0.875, 27}, std::tuple{24, 1.0, 24}, std::tuple{31, 0.9, 34}}) {
    for (const auto& [height, width] : {std::pair{60, 41}, std::pair{20, 90}, std::pair{24, 24}}) {
      for (const auto interpolation : {Interpolation::kBilinear, Interpolation::kBicubic}) {
        Preprocessing preprocessing;
        preprocessing.size = size;
        preprocessing.crop_pct = crop_pct;
        preprocessing.interpolation = interpolation;
        const Image image = random_image(height, width, 3);
        const Image resized = resize_short_side(image, short_side, interpolation);
        const Image expected = crop(resized, {center_offset(resized.height, size),
                                              center_offset(resized.width, size), size, size});
        const Image result = resize_and_crop(image, preprocessing, 3);
        EXPECT_EQ(result.height, size);
        EXPECT_EQ(result.width, size);
        EXPECT_EQ(result.pixels, expected.pixels);
        EXPECT_EQ(resize_and_crop(image, preprocessing, 1).pixels,
                  resize_and_crop(to_gray(image), preprocessing, 1).pixels);
      }
    }
  }
}

TEST(Normalize, DividesExactlyAndTransposes) {
  const Image image = random_image(5, 7, 3);
  const Preprocessing preprocessing;
  std::vector<float> out(3 * 5 * 7);
  normalize(image, preprocessing, out);
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 35; ++i) {
      const float value = static_cast<float>(image.pixels[i * 3 + c]) / 255.0f;
      EXPECT_EQ(out[c * 35 + i], (value - preprocessing.mean[c]) / preprocessing.std[c]);
    }
  }
}

TEST(Denormalize, GivesEveryByteBack) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> unit(0.02f, 1);
  for (const int channels : {1, 3}) {
    Image image(16, 16 * channels, channels);
    for (size_t i = 0; i < image.pixels.size(); ++i)
      image.pixels[i] = uint8_t(i / size_t(channels));
    for (int round = 0; round < 50; ++round) {
      Preprocessing preprocessing;
      preprocessing.mean.resize(size_t(channels));
      preprocessing.std.resize(size_t(channels));
      for (float& value : preprocessing.mean) value = unit(random);
      for (float& value : preprocessing.std) value = unit(random);
      std::vector<float> values(image.pixels.size());
      normalize(image, preprocessing, values);
      const std::vector<double> mean(preprocessing.mean.begin(), preprocessing.mean.end());
      const std::vector<double> deviation(preprocessing.std.begin(), preprocessing.std.end());
      EXPECT_EQ(denormalize(values, image.height, image.width, mean, deviation).pixels,
                image.pixels);
    }
  }
  // Noise of random erasing, and values that are none.
  const std::vector<float> wild{-9, 9, NAN, 0.5f};
  EXPECT_EQ(denormalize(wild, 2, 2, std::vector{0.5}, std::vector{1.0}).pixels,
            (std::vector<uint8_t>{0, 255, 0, 255}));
  EXPECT_EQ(denormalize(wild, 2, 2, std::vector{100.0}, std::vector{10.0}, 1).pixels,
            (std::vector<uint8_t>{10, 190, 0, 105}));
  EXPECT_THROW(denormalize(wild, 2, 2, std::vector{0.5, 0.5}, std::vector{1.0, 1.0}), Error);
}

TEST(Preprocess, NamesWhatDoesNotFit) {
  const Image image = random_image(5, 7, 3);
  std::vector<float> out(3 * 5 * 7);
  Preprocessing gray;
  gray.mean = {0.5f};
  gray.std = {0.5f};
  EXPECT_THROW(normalize(image, gray, out), Error);
  EXPECT_THROW(normalize(image, {}, std::span(out).first(5)), Error);
  EXPECT_THROW(resize_and_crop(image, {}, 2), Error);
  Preprocessing tiny_crop;
  tiny_crop.crop_pct = 1e-9;
  EXPECT_THROW(resize_and_crop(image, tiny_crop, 3), Error);
  tiny_crop.crop_pct = 0;
  EXPECT_THROW(resize_and_crop(image, tiny_crop, 3), Error);
}

}  // namespace
}  // namespace asmlp::preprocess_test
