#include "asmlp/image/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/image/resize_kernels.h"

namespace asmlp::resize_test {
namespace {

Image random_image(std::mt19937& random, int height, int width, int channels) {
  Image image(height, width, channels);
  // Black and white often, so that the cubic's overshoot reaches the clamp.
  for (uint8_t& value : image.pixels) {
    const unsigned bits = static_cast<unsigned>(random());
    value = static_cast<uint8_t>((bits & 0x300) == 0 ? (bits & 1) * 255 : bits);
  }
  return image;
}

int between(std::mt19937& random, int low, int high) {
  return low + static_cast<int>(random() % (high - low + 1));
}

double kernel(Interpolation interpolation, double x) {
  x = std::fabs(x);
  if (interpolation == Interpolation::kBilinear) return x < 1 ? 1 - x : 0;
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  return x < 2 ? -0.5 * (x * x * x - 5 * x * x + 8 * x - 4) : 0;
}

// One pass from the formula, one sample at a time: `in` input samples read by `source`.
uint8_t direct_sample(int in, int out, int index, Interpolation interpolation,
                      const std::function<int(int)>& source) {
  const double scale = double(in) / out, stretch = std::max(scale, 1.0);
  const double support = stretch * (interpolation == Interpolation::kBicubic ? 2 : 1);
  const double center = (index + 0.5) * scale;
  const int lo = std::max(0, int(center - support + 0.5));
  const int hi = std::min(in, int(center + support + 0.5));
  double total = 0;
  for (int i = lo; i < hi; ++i) total += kernel(interpolation, (i - center + 0.5) / stretch);
  int64_t sum = 1 << 21;
  for (int i = lo; i < hi; ++i) {
    const double weight = kernel(interpolation, (i - center + 0.5) / stretch) / total;
    sum += source(i) * std::llround(weight * (1 << 22));
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> 22, 0, 255));
}

Image direct_resize(const Image& image, int height, int width, Interpolation interpolation) {
  Image middle(image.height, width, image.channels), out(height, width, image.channels);
  const int channels = image.channels;
  for (int y = 0; y < middle.height; ++y) {
    for (int i = 0; i < width * channels; ++i) {
      middle.row(y)[i] =
          image.width == width
              ? image.row(y)[i]
              : direct_sample(image.width, width, i / channels, interpolation,
                              [&](int x) { return image.row(y)[x * channels + i % channels]; });
    }
  }
  for (int y = 0; y < height; ++y) {
    for (int i = 0; i < width * channels; ++i) {
      out.row(y)[i] = image.height == height
                          ? middle.row(y)[i]
                          : direct_sample(image.height, height, y, interpolation,
                                          [&](int row) { return middle.row(row)[i]; });
    }
  }
  return out;
}

TEST(Resize, EqualsTheFormulaForRandomSizes) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 150; ++trial) {
    const int limit = trial % 3 == 0 ? 6 : 70;
    const Image image = random_image(random, between(random, 1, limit), between(random, 1, limit),
                                     trial % 2 == 0 ? 3 : 1);
    const int height = trial % 7 == 0 ? image.height : between(random, 1, 90);
    const int width = trial % 5 == 0 ? image.width : between(random, 1, 90);
    for (const auto interpolation : {Interpolation::kBilinear, Interpolation::kBicubic}) {
      const Image expected = direct_resize(image, height, width, interpolation);
      const Image whole = resize(image, height, width, interpolation);
      ASSERT_EQ(whole.pixels, expected.pixels)
          << image.height << "x" << image.width << "x" << image.channels << " to " << height << "x"
          << width << " " << to_string(interpolation);
      Window window{between(random, 0, height - 1), between(random, 0, width - 1), 0, 0};
      window.height = between(random, 1, height - window.top);
      window.width = between(random, 1, width - window.left);
      ASSERT_EQ(resize_window(image, height, width, window, interpolation).pixels,
                crop(expected, window).pixels);
    }
  }
}

TEST(Resize, SameSizeCopiesAndAConstantStaysConstant) {
  std::mt19937 random(8);
  const Image image = random_image(random, 33, 47, 3);
  EXPECT_EQ(resize(image, 33, 47, Interpolation::kBicubic).pixels, image.pixels);
  for (const int value : {0, 1, 127, 254, 255}) {
    Image flat(19, 23, 3);
    std::fill(flat.pixels.begin(), flat.pixels.end(), static_cast<uint8_t>(value));
    for (const int size : {1, 5, 18, 61}) {
      for (const auto interpolation : {Interpolation::kBilinear, Interpolation::kBicubic}) {
        const Image result = resize(flat, size, 64 - size, interpolation);
        EXPECT_EQ(std::count(result.pixels.begin(), result.pixels.end(), value),
                  std::ssize(result.pixels));
      }
    }
  }
}

TEST(ResizeKernels, Avx2AndPortableGiveTheSameBytes) {
  const ResizeKernels* fast = avx2_resize_kernels();
  if (!fast || available_isas().back() < Isa::kAvx2) GTEST_SKIP() << "this machine has no AVX2";
  const ResizeKernels& plain = portable_resize_kernels();
  std::mt19937 random(9);
  for (size_t samples = 1; samples < 150; ++samples) {
    const Image source = random_image(random, kLanes, static_cast<int>(samples), 1);
    Image back_fast = source, back_plain = source;
    const uint8_t* rows[kLanes];
    uint8_t *to_fast[kLanes], *to_plain[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      rows[lane] = source.row(lane);
      to_fast[lane] = back_fast.row(lane);
      to_plain[lane] = back_plain.row(lane);
    }
    std::vector<uint8_t> columns_fast(samples * kLanes), columns_plain(samples * kLanes);
    fast->gather(rows, samples, columns_fast.data());
    plain.gather(rows, samples, columns_plain.data());
    ASSERT_EQ(columns_fast, columns_plain);
    std::shuffle(columns_fast.begin(), columns_fast.end(), random);
    fast->scatter(columns_fast.data(), samples, to_fast);
    plain.scatter(columns_fast.data(), samples, to_plain);
    ASSERT_EQ(back_fast.pixels, back_plain.pixels);

    // Weights that sum to about one, some negative.
    std::vector<int32_t> weights(kLanes);
    for (int32_t& weight : weights) weight = between(random, -(1 << 18), 1 << 19);
    const Taps taps{0, kLanes, weights.data()};
    std::vector<uint8_t> fast_row(samples), plain_row(samples);
    fast->rows(source.pixels.data(), samples, taps, fast_row.data());
    plain.rows(source.pixels.data(), samples, taps, plain_row.data());
    ASSERT_EQ(fast_row, plain_row);
    for (const int channels : {1, 3}) {
      const int pixels = static_cast<int>(samples) / channels;
      if (pixels < 4) continue;
      std::vector<Taps> list;
      for (int first = 0; first + 4 <= pixels; first += 3)
        list.push_back({first + 5, 4, &weights[first % 12]});
      std::vector<uint8_t> out_fast(list.size() * channels * kLanes), out_plain = out_fast;
      fast->columns(columns_plain.data(), 5, list, channels, out_fast.data());
      plain.columns(columns_plain.data(), 5, list, channels, out_plain.data());
      ASSERT_EQ(out_fast, out_plain);
    }
  }
}

TEST(ShortSide, FollowsTorchvision) {
  EXPECT_EQ(short_side_target(427, 640, 256), (std::pair{256, 383}));  // 383.7 is cut
  EXPECT_EQ(short_side_target(640, 427, 256), (std::pair{383, 256}));
  EXPECT_EQ(short_side_target(300, 300, 7), (std::pair{7, 7}));
  EXPECT_THROW(short_side_target(0, 5, 7), Error);
  EXPECT_THROW(short_side_target(1, 1 << 28, 224), Error);
}

TEST(CenterCrop, RoundsHalfToEvenAndPadsWithZeros) {
  // Differences 1, 3, 5, 31: halves 0.5, 1.5, 2.5, 15.5.
  EXPECT_EQ(center_offset(8, 7), 0);
  EXPECT_EQ(center_offset(10, 7), 2);
  EXPECT_EQ(center_offset(12, 7), 2);
  EXPECT_EQ(center_offset(38, 7), 16);
  EXPECT_EQ(center_offset(11, 7), 2);

  Image image(2, 5, 1);
  image.pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const Image cropped = crop(image, {-1, center_offset(image.width, 2), 5, 2});
  // Three missing rows: one above, two below. Three columns too many: offset 1.5, so 2.
  EXPECT_EQ(cropped.pixels, (std::vector<uint8_t>{0, 0, 3, 4, 8, 9, 0, 0, 0, 0}));
  EXPECT_EQ(crop(image, {-1, -2, 2, 4}).pixels, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(crop(image, {5, 7, 1, 2}).pixels, (std::vector<uint8_t>{0, 0}));
}

TEST(Resize, RefusesNonsenseAndGiants) {
  const Image image(4, 4, 3);
  const auto code = [](const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInterrupted;
  };
  EXPECT_EQ(code([&] { resize(image, 0, 4, Interpolation::kBicubic); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([&] { resize(Image(0, 4, 3), 4, 4, Interpolation::kBicubic); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([&] {
              resize_window(image, 8, 8, {1, 0, 8, 8}, Interpolation::kBicubic);
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([&] { resize(image, 1 << 20, 1 << 20, Interpolation::kBicubic); }),
            ErrorCode::kTooLarge);
  EXPECT_EQ(code([&] { resize(Image(1 << 20, 1, 1), 1, 1024, Interpolation::kBicubic); }),
            ErrorCode::kTooLarge);
  EXPECT_EQ(code([&] { Image(2, 2, 4); }), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace asmlp::resize_test
