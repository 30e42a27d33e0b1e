#include "asmlp/torch/data/augment/transforms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/torch/data/augment/noise.h"
#include "tests/support/support.h"

namespace asmlp::data::transforms_test {
namespace {

Image noise_image(int height, int width, int channels) {
  Image image(height, width, channels);
  Random random(derive_seed(1, {uint64_t(height), uint64_t(width), uint64_t(channels)}));
  for (uint8_t& pixel : image.pixels) pixel = static_cast<uint8_t>(1 + random.below(255));
  return image;
}

Preprocessing preprocessing_of(int channels, int size) {
  Preprocessing p;
  p.size = size;
  p.crop_pct = 1;
  p.mean.assign(channels, 0.25f);
  p.std.assign(channels, 0.5f);
  return p;
}

Augmentation no_augmentation() {
  Augmentation a;
  a.crop_padding = 0;
  a.rand_augment.reset();
  a.hflip = a.color_jitter = a.erase_probability = 0;
  return a;
}

std::vector<float> evaluation(const Image& image, const Preprocessing& p) {
  std::vector<float> out(p.mean.size() * p.size * p.size);
  transform_for_evaluation(image, p, out);
  return out;
}

std::vector<float> training(const Image& image, const Preprocessing& p, const Augmentation& a,
                            uint64_t seed) {
  std::vector<float> out(p.mean.size() * p.size * p.size);
  Random random(seed);
  transform_for_training({image, 0, "noise", {}}, p, a, random, out);
  return out;
}

TEST(RandomNumbers, AreUniformAndNormal) {
  Random random(7);
  double sum = 0, normal_sum = 0, normal_squares = 0;
  std::vector<int> counts(10);
  for (int i = 0; i < 20000; ++i) {
    const double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
    ++counts.at(random.below(10));
    const double n = random.normal();
    normal_sum += n;
    normal_squares += n * n;
  }
  EXPECT_NEAR(sum / 20000, 0.5, 0.01);
  for (int count : counts) EXPECT_NEAR(count, 2000, 250);
  EXPECT_NEAR(normal_sum / 20000, 0, 0.03);
  EXPECT_NEAR(normal_squares / 20000, 1, 0.05);
  // The path decides, not its parts in another order.
  EXPECT_NE(derive_seed(1, {2, 3}), derive_seed(1, {3, 2}));
  EXPECT_NE(derive_seed(1, {2}), derive_seed(2, {1}));
}

// To the bit, for blocks of every length, and with the generator left in the same state.
TEST(Normals, AreRandomNormals) {
  Random one(8), many(8);
  std::vector<float> values;
  for (size_t length = 0; length < 1500; ++length) {
    values.assign(length, 0);
    normals(values, many);
    for (size_t i = 0; i < length; ++i) {
      ASSERT_EQ(values[i], static_cast<float>(one.normal())) << length << ' ' << i;
    }
  }
  EXPECT_EQ(one.next(), many.next());
}

TEST(RandomResizedWindow, StaysInTheImageAndInItsLimits) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const int height = 20 + static_cast<int>(random.below(80));
    const int width = 20 + static_cast<int>(random.below(80));
    const Window w = random_resized_window(height, width, {0.08, 1.0}, {0.75, 4.0 / 3}, random);
    ASSERT_GE(w.top, 0);
    ASSERT_GE(w.left, 0);
    ASSERT_GE(w.height, 1);
    ASSERT_GE(w.width, 1);
    ASSERT_LE(w.top + w.height, height);
    ASSERT_LE(w.left + w.width, width);
    // Sides are rounded to pixels.
    const double largest = double(w.width + 1) / (w.height - 1);
    const double smallest = double(w.width - 1) / (w.height + 1);
    ASSERT_TRUE(largest > 0.75 && smallest < 4.0 / 3) << w.width << " x " << w.height;
    ASSERT_GE((w.width + 1.0) * (w.height + 1.0), 0.08 * height * width);
  }
}

TEST(RandomResizedWindow, FallsBackToTheCenterOfALongImage) {
  Random random(1);
  const Window wide = random_resized_window(10, 1000, {0.9, 1.0}, {0.75, 4.0 / 3}, random);
  EXPECT_EQ(wide.height, 10);
  EXPECT_EQ(wide.width, 13);
  EXPECT_EQ(wide.left, (1000 - 13) / 2);
  const Window tall = random_resized_window(1000, 10, {0.9, 1.0}, {0.75, 4.0 / 3}, random);
  EXPECT_EQ(tall.width, 10);
  EXPECT_EQ(tall.height, 13);
  const Window dot = random_resized_window(1, 1, {0.9, 1.0}, {0.75, 4.0 / 3}, random);
  EXPECT_EQ(dot.height * dot.width, 1);
}

TEST(Flip, MirrorsRowsAndIsItsOwnInverse) {
  for (int channels : {1, 3}) {
    for (int width : {1, 2, 7, 8}) {
      const Image image = noise_image(3, width, channels);
      Image flipped = image;
      flip_horizontally(flipped);
      for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < width; ++x) {
          for (int c = 0; c < channels; ++c) {
            EXPECT_EQ(flipped.row(y)[x * channels + c],
                      image.row(y)[(width - 1 - x) * channels + c]);
          }
        }
      }
      flip_horizontally(flipped);
      EXPECT_EQ(flipped.pixels, image.pixels);
    }
  }
}

TEST(Erase, FillsOneRectangleOfTheRightSizeInEveryChannel) {
  const int height = 40, width = 50;
  for (EraseMode mode : {EraseMode::kConst, EraseMode::kPixel}) {
    double sum = 0, squares = 0, count = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
      Random random(derive_seed(seed, {9}));
      std::vector<float> values(3 * height * width, 77.0f);
      erase_rectangles(values, 3, height, width, mode, 1, random);
      int top = height, bottom = -1, left = width, right = -1, changed = 0;
      for (int c = 0; c < 3; ++c) {
        for (int y = 0; y < height; ++y) {
          for (int x = 0; x < width; ++x) {
            const float value = values[(c * height + y) * width + x];
            if (value == 77.0f) continue;
            top = std::min(top, y), bottom = std::max(bottom, y);
            left = std::min(left, x), right = std::max(right, x);
            ++changed;
            ASSERT_TRUE(mode == EraseMode::kPixel || value == 0.0f);
            sum += value, squares += double{value} * value, ++count;
          }
        }
      }
      const int h = bottom - top + 1, w = right - left + 1;
      ASSERT_EQ(changed, 3 * h * w);  // a full rectangle, the same in all channels
      ASSERT_GE((h + 0.5) * (w + 0.5), 0.02 * height * width);
      ASSERT_LE((h - 0.5) * (w - 0.5), height * width / 3.0);
    }
    if (mode == EraseMode::kPixel) {
      EXPECT_NEAR(sum / count, 0, 0.02);
      EXPECT_NEAR(squares / count, 1, 0.02);
    }
  }
}

// With up to three rectangles, each is that much smaller, and 1, 2 and 3 are equally likely.
TEST(Erase, SeveralRectanglesShareTheArea) {
  const int side = 60, n = 900;
  std::vector<double> shares;
  for (const int most : {1, 3}) {
    double erased = 0;
    for (int i = 0; i < n; ++i) {
      Random random(derive_seed(10, {uint64_t(i), uint64_t(most)}));
      std::vector<float> values(side * side, 77.0f);
      erase_rectangles(values, 1, side, side, EraseMode::kConst, most, random);
      const double share = double(std::count(values.begin(), values.end(), 0.0f)) / (side * side);
      ASSERT_TRUE(share > 0.015 && share < 0.35) << share;
      erased += share;
    }
    shares.push_back(erased / n);
  }
  // Mean (0.02 + 1/3) / 2, less what does not fit (one) or overlaps (several); the deviation of one
  // draw is below 0.0905.
  EXPECT_NEAR(shares[0], 0.1767, 0.004 + 5 * 0.0905 / std::sqrt(n));
  EXPECT_LT(shares[1], shares[0]);
  EXPECT_GT(shares[1], 0.14);
}

TEST(FillColor, IsTheMeanIn8Bits) {
  Preprocessing p;
  EXPECT_EQ(fill_color(p), (std::array<uint8_t, 3>{124, 116, 104}));
  p.mean = {0.2860f};
  EXPECT_EQ(fill_color(p)[0], 73);
  p.mean = {1.5f, -1.0f, 1.0f};
  EXPECT_EQ(fill_color(p), (std::array<uint8_t, 3>{255, 0, 255}));
}

TEST(TrainingTransform, WithoutAugmentationItIsTheEvaluationTransform) {
  for (int channels : {1, 3}) {
    for (int size : {8, 12, 16}) {
      const Image image = noise_image(12, 14, channels);
      const Preprocessing p = preprocessing_of(channels, size);
      EXPECT_EQ(training(image, p, no_augmentation(), 3), evaluation(image, p));
    }
  }
}

TEST(TrainingTransform, VerticalFlipsHappenAsOftenAsAsked) {
  const Image image = noise_image(10, 10, 1);
  const Preprocessing p = preprocessing_of(1, 10);
  const auto plain = evaluation(image, p), turned = evaluation(flip_vertical(image), p);
  Augmentation a = no_augmentation();
  a.vflip = 0.3;
  int flips = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const auto out = training(image, p, a, mix64(seed));
    ASSERT_TRUE(out == plain || out == turned);
    flips += out == turned;
  }
  EXPECT_NEAR(flips, 300, 60);
}

TEST(TrainingTransform, FlipAndEraseHappenAsOftenAsAsked) {
  const Image image = noise_image(10, 10, 1);
  const Preprocessing p = preprocessing_of(1, 10);
  Image mirrored = image;
  flip_horizontally(mirrored);
  const auto plain = evaluation(image, p), flipped = evaluation(mirrored, p);
  Augmentation a = no_augmentation();
  a.hflip = 0.3;
  int flips = 0, erased = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const auto out = training(image, p, a, mix64(seed));
    ASSERT_TRUE(out == plain || out == flipped);
    flips += out == flipped;
  }
  EXPECT_NEAR(flips, 300, 60);
  a.hflip = 1;
  EXPECT_EQ(training(image, p, a, 1), flipped);
  a = no_augmentation();
  a.erase_probability = 0.25;
  for (uint64_t seed = 0; seed < 1000; ++seed)
    erased += training(image, p, a, mix64(seed)) != plain;
  EXPECT_NEAR(erased, 250, 60);
}

// Every offset within the padding occurs, and what comes in from outside is black.
TEST(TrainingTransform, CropPaddingMovesTheImage) {
  const Image image = noise_image(9, 9, 1);
  const Preprocessing p = preprocessing_of(1, 9);
  const auto plain = evaluation(image, p);
  const float black = (0 - p.mean[0]) / p.std[0];
  Augmentation a = no_augmentation();
  a.crop_padding = 2;
  std::set<std::pair<int, int>> offsets;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const auto out = training(image, p, a, mix64(seed));
    int matches = 0;
    for (int dy = -2; dy <= 2; ++dy) {
      for (int dx = -2; dx <= 2; ++dx) {
        bool same = true;
        for (int y = 0; y < 9; ++y) {
          for (int x = 0; x < 9; ++x) {
            const int sy = y + dy, sx = x + dx;
            const bool inside = sy >= 0 && sy < 9 && sx >= 0 && sx < 9;
            const float expected = inside ? plain[sy * 9 + sx] : black;
            same &= std::abs(out[y * 9 + x] - expected) < 1e-6;
          }
        }
        if (same) offsets.insert({dy, dx});
        matches += same;
      }
    }
    ASSERT_EQ(matches, 1);
  }
  EXPECT_EQ(offsets.size(), 25u);
}

// With every transform on, encoded samples (of which only the crop is decoded) give what decoded
// ones give.
TEST(TrainingTransform, EncodedAndDecodedSamplesGiveTheSame) {
  Augmentation a;
  a.interpolation = WarpInterpolation::kRandom;
  a.rand_augment = parse_rand_augment("rand-m9-mstd0.5-inc1");
  for (const char* name :
       {"images/jpeg_420.jpg", "images/jpeg_progressive.jpg", "images/jpeg_grey.jpg",
        "images/jpeg_cmyk_adobe.jpg", "images/png_rgb8_plain.png", "images/webp_lossy.webp"}) {
    const std::string bytes = read_file(test::data(name));
    const Sample encoded{{}, 0, name, bytes};
    const Sample decoded{decode_image(test::data(name)), 0, name, {}};
    for (const int channels : {1, 3}) {
      const Preprocessing p = preprocessing_of(channels, 16);
      std::vector<float> from_bytes(channels * 256), from_pixels(channels * 256);
      for (uint64_t seed = 0; seed < 40; ++seed) {
        a.crop_padding = seed < 5 ? std::optional(2) : std::nullopt;
        Random one(seed), two(seed);
        transform_for_training(encoded, p, a, one, from_bytes);
        transform_for_training(decoded, p, a, two, from_pixels);
        ASSERT_EQ(from_bytes, from_pixels) << name << ' ' << seed;
      }
    }
  }
}

// timm: color jitter acts where RandAugment is off.
TEST(TrainingTransform, ColorJitterGivesWayToRandAugment) {
  const Image image = noise_image(10, 10, 3);
  const Preprocessing p = preprocessing_of(3, 10);
  Augmentation plain = no_augmentation(), jitter = plain, both = plain, augment = plain;
  jitter.color_jitter = both.color_jitter = 0.4;
  both.rand_augment = augment.rand_augment = parse_rand_augment("rand-m9");
  int changed = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(training(image, p, both, seed), training(image, p, augment, seed));
    changed += training(image, p, jitter, seed) != training(image, p, plain, seed);
  }
  EXPECT_GT(changed, 45);
}

TEST(TrainingTransform, BadOptionsAreNamed) {
  const auto refused = [](auto change, const std::string& words) {
    Augmentation a;
    change(a);
    EXPECT_EQ(test::error_of(ErrorCode::kInvalidArgument, [&] { validate(a); }), words);
  };
  validate(Augmentation{});
  refused([](auto& a) { a.crop_padding = -1; }, "crop-padding is -1, must be between 0 and 4096");
  refused([](auto& a) { a.scale = {0.5, 0.4}; }, "scale is 0.5 0.4: the lower value comes first");
  refused([](auto& a) { a.scale = {0, 0.4}; }, "scale is 0, must be above 0 and at most 1");
  refused([](auto& a) { a.ratio = {1, INFINITY}; }, "ratio is inf, must be above 0");
}

TEST(TrainingTransform, TheGeneratorDecidesEverything) {
  const Image image = noise_image(40, 30, 3);
  const Preprocessing p = preprocessing_of(3, 16);
  Augmentation a;  // crop, flip and erase
  a.rand_augment.reset();
  a.color_jitter = 0;
  EXPECT_EQ(training(image, p, a, 11), training(image, p, a, 11));
  std::set<std::vector<float>> distinct;
  for (uint64_t seed = 0; seed < 20; ++seed) distinct.insert(training(image, p, a, seed));
  EXPECT_EQ(distinct.size(), 20u);
  // Gray files feed color models.
  const auto gray = training(noise_image(20, 20, 1), p, no_augmentation(), 1);
  EXPECT_EQ(std::vector(gray.begin(), gray.begin() + 256),
            std::vector(gray.begin() + 512, gray.end()));
}

// The same crop and the same draws; nearly the same pixels, and the very same where the crop is
// small.
TEST(Transform, FastDecodingChangesLittle) {
  Sample sample;
  sample.encoded = read_file(test::data("photos/china.jpg"));
  sample.name = "china.jpg";
  Augmentation exact, fast;
  exact.erase_probability = fast.erase_probability = 0;
  exact.rand_augment.reset();
  fast.rand_augment.reset();
  fast.decode = CropDecoding::kFast;
  int equal = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Preprocessing p = preprocessing_of(3, seed % 2 == 0 ? 64 : 224);
    std::vector<float> a(3 * p.size * p.size), b(a.size());
    Random one(seed), two(seed);
    transform_for_training(sample, p, exact, one, a);
    transform_for_training(sample, p, fast, two, b);
    EXPECT_EQ(one.next(), two.next());
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]) * 0.25;
    // Of values up to 1, color jitter included: 30 dB.
    EXPECT_LT(sum / double(a.size()), 1e-3) << seed;
    equal += sum == 0;
  }
  EXPECT_GT(equal, 5);
  EXPECT_LT(equal, 35);
}

}  // namespace
}  // namespace asmlp::data::transforms_test
