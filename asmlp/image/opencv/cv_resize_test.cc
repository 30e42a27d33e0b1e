#include "asmlp/image/opencv/cv_resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>

#include "asmlp/core/error.h"

namespace asmlp::cv_resize_test {
namespace {

Image noise(int height, int width, int channels, std::mt19937& random) {
  Image image(height, width, channels);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random());
  return image;
}

struct Neighbors {
  int low, high;
  int low_weight, high_weight;
};

// As OpenCV places a pixel. Rows beyond the edge keep their weights, columns do not.
Neighbors neighbors(int i, int side, int new_side, bool column) {
  const double scale = 1. / (static_cast<double>(new_side) / side);
  const auto at = static_cast<float>((i + 0.5) * scale - 0.5);
  int low = static_cast<int>(std::floor(at));
  float part = at - static_cast<float>(low);
  if (column && low < 0) low = 0, part = 0;
  if (column && low >= side - 1) low = side - 1, part = 0;
  return {std::clamp(low, 0, side - 1), std::clamp(low + 1, 0, side - 1),
          static_cast<int>(std::nearbyint((1.f - part) * 2048)),
          static_cast<int>(std::nearbyint(part * 2048))};
}

// Pixel by pixel, all in int.
uint8_t pixel(const Image& image, CvSize size, int y, int x, int c) {
  const auto value = [&](int row, int column) {
    return int{image.row(row)[column * image.channels + c]};
  };
  if (image.height == 2 * size.height && image.width == 2 * size.width) {
    const int sum = value(2 * y, 2 * x) + value(2 * y, 2 * x + 1) + value(2 * y + 1, 2 * x) +
                    value(2 * y + 1, 2 * x + 1);
    return static_cast<uint8_t>((sum + 2) / 4);
  }
  const Neighbors rows = neighbors(y, image.height, size.height, false);
  const Neighbors columns = neighbors(x, image.width, size.width, true);
  const auto across = [&](int row) {
    return (value(row, columns.low) * columns.low_weight +
            value(row, columns.high) * columns.high_weight) /
           16;
  };
  const int sum =
      rows.low_weight * across(rows.low) / 65536 + rows.high_weight * across(rows.high) / 65536;
  return static_cast<uint8_t>((sum + 2) / 4);
}

void expect_pixels(const Image& image, CvSize size) {
  const Image result = resize_bilinear(image, size);
  ASSERT_EQ(result.height, size.height);
  ASSERT_EQ(result.width, size.width);
  ASSERT_EQ(result.channels, image.channels);
  const std::string what = fmt::format("{} x {} x {} to {} x {}", image.height, image.width,
                                       image.channels, size.height, size.width);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        ASSERT_EQ(int{result.row(y)[x * image.channels + c]}, int{pixel(image, size, y, x, c)})
            << what << " at " << y << ' ' << x << ' ' << c;
      }
    }
  }
}

TEST(CvResize, IsTheFormula) {
  std::mt19937 random(7);
  const auto side = [&] {
    static constexpr std::array kMost{1, 3, 10, 40, 200};
    return 1 + static_cast<int>(random() % kMost[random() % kMost.size()]);
  };
  for (int trial = 0; trial < 600; ++trial) {
    const CvSize size{side(), side()};
    CvSize source{side(), side()};
    if (trial % 8 == 0) source = {2 * size.height, 2 * size.width};
    if (trial % 8 == 1) source.height = 2 * size.height;
    if (trial % 8 == 2) source = {4 * size.height, 4 * size.width};
    const Image image = noise(source.height, source.width, trial % 2 == 0 ? 3 : 1, random);
    ASSERT_NO_FATAL_FAILURE(expect_pixels(image, size));
  }
}

// Where the two rounded weights of a column do not add up to 2048.
TEST(CvResize, WeightsThatMissOne) {
  std::mt19937 random(8);
  int missed = 0;
  for (int new_side = 8200; new_side < 40000 && missed < 3; new_side += 7) {
    for (const int side : {3, 5, 7}) {
      int wrong = 0;
      for (int i = 0; i < 2 * new_side / side; ++i) {
        const Neighbors at = neighbors(i, side, new_side, true);
        wrong += at.low_weight + at.high_weight != 2048;
      }
      if (wrong == 0) continue;
      ++missed;
      ASSERT_NO_FATAL_FAILURE(expect_pixels(noise(2, side, 1, random), {1, new_side}));
      ASSERT_NO_FATAL_FAILURE(expect_pixels(noise(2, side, 3, random), {3, new_side}));
    }
  }
  EXPECT_GT(missed, 0);
}

TEST(CvResize, TheSameSizeIsACopy) {
  std::mt19937 random(9);
  for (const int channels : {1, 3}) {
    const Image image = noise(11, 17, channels, random);
    EXPECT_EQ(resize_bilinear(image, {11, 17}).pixels, image.pixels);
    EXPECT_EQ(resize_nearest(image, {11, 17}).pixels, image.pixels);
  }
}

TEST(CvResize, ConstantImagesStayConstant) {
  for (const int value : {0, 1, 127, 254, 255}) {
    Image image(13, 29, 3);
    std::ranges::fill(image.pixels, static_cast<uint8_t>(value));
    for (const CvSize size : {CvSize{1, 1}, {100, 3}, {7, 300}, {26, 58}}) {
      const Image result = resize_bilinear(image, size);
      EXPECT_TRUE(std::ranges::all_of(result.pixels, [&](int v) { return v == value; }))
          << value << ' ' << size.height;
    }
  }
}

TEST(CvResize, NearestTakesThePixelBefore) {
  std::mt19937 random(10);
  for (int trial = 0; trial < 200; ++trial) {
    const auto side = [&] { return 1 + static_cast<int>(random() % 60); };
    const int height = side(), width = side(), channels = trial % 2 == 0 ? 3 : 1;
    const CvSize size{side(), side()};
    const Image image = noise(height, width, channels, random);
    const Image result = resize_nearest(image, size);
    const auto source = [](int i, int from, int to) {
      return std::min(static_cast<int>(i * (1. / (static_cast<double>(to) / from))), from - 1);
    };
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        const uint8_t* expected =
            image.row(source(y, height, size.height)) + source(x, width, size.width) * channels;
        ASSERT_TRUE(std::equal(expected, expected + channels, result.row(y) + x * channels))
            << height << ' ' << width << ' ' << y << ' ' << x;
      }
    }
  }
}

TEST(CvResize, FittedSizes) {
  EXPECT_EQ(fitted_size(480, 640, 800, 1333), (CvSize{800, 1067}));
  EXPECT_EQ(fitted_size(640, 480, 800, 1333), (CvSize{1067, 800}));
  EXPECT_EQ(fitted_size(480, 640, 480, 1333), (CvSize{480, 640}));
  EXPECT_EQ(fitted_size(300, 1000, 800, 1333), (CvSize{400, 1333}));  // the long side decides
  EXPECT_EQ(fitted_size(512, 683, 512, 2048), (CvSize{512, 683}));
  EXPECT_EQ(fitted_size(2, 3, 3, 100), (CvSize{3, 5}));            // 4.5 is rounded up
  EXPECT_EQ(fitted_size(1, 10000, 800, 1333), (CvSize{1, 1333}));  // not 0
  EXPECT_EQ(fitted_size(1, 1, 800, 1333), (CvSize{800, 800}));
  EXPECT_THROW(fitted_size(0, 5, 800, 1333), Error);
}

TEST(CvResize, Flips) {
  std::mt19937 random(11);
  for (const int channels : {1, 3}) {
    for (const int width : {1, 2, 7}) {
      const Image image = noise(5, width, channels, random);
      const Image flipped = flip_horizontal(image), turned = flip_vertical(image);
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < width; ++x) {
          for (int c = 0; c < channels; ++c) {
            EXPECT_EQ(flipped.row(y)[x * channels + c],
                      image.row(y)[(width - 1 - x) * channels + c]);
            EXPECT_EQ(turned.row(y)[x * channels + c], image.row(4 - y)[x * channels + c]);
          }
        }
      }
    }
  }
  EXPECT_TRUE(flip_horizontal(Image(0, 4, 3)).pixels.empty());
  EXPECT_TRUE(flip_vertical(Image(4, 0, 3)).pixels.empty());
}

TEST(CvResize, RefusesEmptyImages) {
  const Image image(6, 7, 3);
  for (const CvSize size : {CvSize{0, 5}, {5, 0}, {-1, 5}}) {
    EXPECT_THROW(resize_bilinear(image, size), Error);
    EXPECT_THROW(resize_nearest(image, size), Error);
  }
  EXPECT_THROW(resize_bilinear(Image(0, 4, 3), {2, 2}), Error);
  EXPECT_THROW(resize_nearest(Image(4, 0, 1), {2, 2}), Error);
}

}  // namespace
}  // namespace asmlp::cv_resize_test
