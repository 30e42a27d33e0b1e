// Windows of JPEGs at the scale that they are resized to, and resizing of boxes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "tests/support/support.h"

namespace asmlp::decode_scaled_test {
namespace {

Image decode(const std::string& bytes) {
  return decode_image(std::as_bytes(std::span(bytes)), "a file");
}

// The fixtures that are JPEGs.
std::vector<std::string> jpeg_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(test::data("images"))) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("jpeg")) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

double psnr(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    const double difference = double(a.pixels[i]) - b.pixels[i];
    sum += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * double(a.pixels.size()) / std::max(sum, 1e-9));
}

ScaledWindow decode_scaled(const std::string& bytes, const Window& window, int height, int width) {
  return decode_scaled_window(
      std::as_bytes(std::span(bytes)), "a file", [&](int, int) { return window; }, height, width);
}

// Blocks are smaller, the picture is nearly the same: over sizes of windows and of results, for all
// ways of storing color, and upright.
TEST(DecodeScaled, ResizesNearlyAsTheExactWindow) {
  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  int scaled = 0, exact = 0;
  for (const std::string name : {"china.jpg", "flower.jpg", "grace_hopper.jpg", "rocket.jpg"}) {
    const std::string bytes = read_file(test::data("photos/" + name));
    const Image whole = decode(bytes);
    for (int trial = 0; trial < 60; ++trial) {
      Window window{0, 0, 40 + below(whole.height - 40), 40 + below(whole.width - 40)};
      window.top = below(whole.height - window.height + 1);
      window.left = below(whole.width - window.width + 1);
      const int height = 8 + below(120), width = 8 + below(120);
      const auto part = decode_scaled(bytes, window, height, width);
      const Image ours = resize_box(part.image, height, width, part.box, Interpolation::kBicubic);
      const Image theirs = resize(crop(whole, window), height, width, Interpolation::kBicubic);
      const bool smaller = window.height >= 2 * height && window.width >= 2 * width;
      (smaller ? scaled : exact) += 1;
      if (smaller) {
        EXPECT_LT(part.image.pixels.size() * 3, crop(whole, window).pixels.size());
        EXPECT_GT(psnr(ours, theirs), 30) << name << " " << window.height << "x" << window.width
                                          << " to " << height << "x" << width;
      } else {
        EXPECT_EQ(part.image.pixels, crop(whole, window).pixels);
        EXPECT_EQ(ours.pixels, theirs.pixels);
      }
    }
  }
  EXPECT_GT(scaled, 80);
  EXPECT_GT(exact, 80);
}

// A window at a scale is a part of the whole picture at that scale, to the byte, at every place.
TEST(DecodeScaled, IsAPartOfTheWholeAtThatScale) {
  std::mt19937 random(6);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<std::string> names{"photos/grace_hopper.jpg", "photos/rocket.jpg"};
  for (const std::string& name : jpeg_names()) {
    names.push_back("images/" + name);
  }
  int windows = 0;
  for (const std::string& name : names) {
    const std::string bytes = read_file(test::data(name));
    const Image exact = decode(bytes);
    for (const int divisor : {2, 4, 8}) {
      const auto of = [&](const Window& window) {
        return decode_scaled(bytes, window, std::max(window.height / divisor, 1),
                             std::max(window.width / divisor, 1));
      };
      if (std::min(exact.height, exact.width) < 2 * divisor) continue;
      const ScaledWindow whole = of({0, 0, exact.height, exact.width});
      if (whole.image.pixels == exact.pixels) continue;  // CMYK: always exact
      for (int trial = 0; trial < 40; ++trial) {
        Window window{below(exact.height - divisor), below(exact.width - divisor), 0, 0};
        window.height = divisor + below(exact.height - window.top - divisor + 1);
        window.width = divisor + below(exact.width - window.left - divisor + 1);
        const ScaledWindow part = of(window);
        const double top = double(window.top) / divisor - part.box.top;
        const double left = double(window.left) / divisor - part.box.left;
        // Turned pictures may begin inside of a pixel at either end.
        if (top != std::floor(top) || left != std::floor(left)) continue;
        const Window place{int(top), int(left), part.image.height, part.image.width};
        ASSERT_EQ(part.image.pixels, crop(whole.image, place).pixels)
            << name << " 1/" << divisor << " window " << window.height << "x" << window.width
            << " at " << window.top << "," << window.left;
        ++windows;
      }
    }
  }
  EXPECT_GT(windows, 400);
}

TEST(DecodeScaled, RefusesNoSize) {
  const std::string bytes = read_file(test::data("images/jpeg_420.jpg"));
  EXPECT_THROW(decode_scaled(bytes, {0, 0, 4, 4}, 0, 4), Error);
  EXPECT_THROW(decode_scaled(bytes.substr(0, 300), {0, 0, 20, 20}, 4, 4), Error);
}

// What Pillow 13 gives for Image.resize(..., box=...).
TEST(ResizeBox, EqualsPillow) {
  Image image(8, 9, 1);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 9; ++x) image.row(y)[x] = uint8_t((x * x * 7 + y * 31 + x * y * 13) % 256);
  }
  const auto of = [&](int height, int width, const Box& box, Interpolation interpolation) {
    return resize_box(image, height, width, box, interpolation).pixels;
  };
  using Bytes = std::vector<uint8_t>;
  EXPECT_EQ(of(3, 3, {1.25, 0.5, 5.75, 6}, Interpolation::kBicubic),
            (Bytes{84, 131, 110, 138, 87, 121, 125, 124, 129}));
  EXPECT_EQ(of(3, 3, {1.25, 0.5, 5.75, 6}, Interpolation::kBilinear),
            (Bytes{87, 127, 114, 135, 94, 122, 124, 126, 132}));
  EXPECT_EQ(of(2, 5, {0, 2.125, 7.5, 6.875}, Interpolation::kBicubic),
            (Bytes{105, 113, 119, 151, 141, 108, 115, 135, 124, 150}));
  const Bytes shifted = of(8, 9, {0, 0.25, 8, 8}, Interpolation::kBicubic);
  EXPECT_EQ(Bytes(shifted.begin(), shifted.begin() + 9),
            (Bytes{1, 8, 27, 57, 98, 151, 231, 187, 105}));
  EXPECT_EQ(of(5, 4, {0, 0, 8, 9}, Interpolation::kBicubic),
            resize(image, 5, 4, Interpolation::kBicubic).pixels);
  EXPECT_THROW(of(2, 2, {0, 0, 8.5, 9}, Interpolation::kBicubic), Error);
  EXPECT_THROW(of(2, 2, {0, 0, 0, 9}, Interpolation::kBicubic), Error);
}

}  // namespace
}  // namespace asmlp::decode_scaled_test
