#include "asmlp/torch/detect/data/train_transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "asmlp/torch/data/dense_input.h"
#include "tests/support/dense_input.h"
#include "tests/support/images.h"
#include "tests/support/weight_files.h"

namespace asmlp::detect::train_transform_test {
namespace {

using data::Random;
using data::TensorSample;
using test::plain_input;

// Red is the column, green the row.
Image places(int height, int width) {
  Image image(height, width, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.row(y)[3 * x] = uint8_t(x);
      image.row(y)[3 * x + 1] = uint8_t(y);
    }
  }
  return image;
}

MaskRle full_mask(int height, int width) {
  const std::vector<uint8_t> ones(size_t(height) * size_t(width), 1);
  return encode_mask({ones, height, width});
}

// A sample of an image of which one object is all.
TensorSample sample_of(const Image& image, const TrainTransformOptions& options,
                       const DenseInput& input, uint64_t seed) {
  Random random(seed);
  const ImageObject all{{0, 0, float(image.width), float(image.height)}, 5, 1};
  const auto mask_of = [&](int) { return full_mask(image.height, image.width); };
  return train_sample(ObjectImage(image, {all}), mask_of, options, input, random);
}

// Checks what holds for every sample of sample_of.
void expect_whole(const TensorSample& sample) {
  const data::ImageInfo& info = sample.info;
  EXPECT_EQ(sample.image.sizes().vec(),
            (std::vector<int64_t>{3, info.padded_height, info.padded_width}));
  const auto all = torch::tensor({{0.0f, 0.0f, float(info.width), float(info.height)}});
  EXPECT_TRUE(info.boxes.allclose(all, 1e-6, 1e-3));  // the factors of boxes are rounded
  EXPECT_TRUE(info.labels.equal(torch::tensor({5}, torch::kInt64)));
  auto mask = torch::zeros({1, info.padded_height, info.padded_width}, torch::kUInt8);
  mask.narrow(1, 0, info.height).narrow(2, 0, info.width).fill_(1);
  EXPECT_TRUE(info.masks.equal(mask));
}

TEST(TrainTransform, WithoutChanceItIsATestsTransform) {
  TrainTransformOptions options;
  options.hflip = options.crop_prob = 0;
  options.short_sides = {200};
  options.long_side = 280;
  DenseInput input;
  input.short_side = 200;
  input.long_side = 280;
  for (auto [height, width] : {std::pair{48, 64}, {64, 48}, {30, 90}, {1, 50}}) {
    const Image image = data::noise_image(height, width, 3);
    const TensorSample sample = sample_of(image, options, input, 1),
                       expected = data::test_sample(image, input);
    expect_whole(sample);
    EXPECT_TRUE(sample.image.equal(expected.image));
    EXPECT_EQ(sample.info.height, expected.info.height);
    EXPECT_EQ(sample.info.width, expected.info.width);
    EXPECT_EQ(sample.info.original_height, height);
    EXPECT_EQ(sample.info.original_width, width);
  }
}

TEST(TrainTransform, DefaultsCoverElevenScalesOfBothBranches) {
  const Image image = data::noise_image(40, 40, 3);
  std::map<int64_t, int> shorter;
  int cropped = 0;
  for (uint64_t seed = 0; seed < 110; ++seed) {
    const TensorSample sample = sample_of(image, {}, {}, seed);
    ++shorter[std::min(sample.info.height, sample.info.width)];
    EXPECT_LE(std::max(sample.info.height, sample.info.width), 1333);
    EXPECT_EQ(sample.info.padded_height % 32, 0);
    EXPECT_LT(sample.info.padded_height - sample.info.height, 32);
    EXPECT_LT(sample.info.padded_width - sample.info.width, 32);
    cropped += sample.info.height != sample.info.width;  // a window that is a square is rare
  }
  std::set<int64_t> scales;
  for (const auto& [side, count] : shorter) scales.insert(side);
  EXPECT_EQ(scales, (std::set<int64_t>{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800}));
  for (const auto& [side, count] : shorter) EXPECT_LT(count, 25) << side;  // 10 on average
  EXPECT_NEAR(cropped, 53, 20);
}

// From a resized image whose corners show their place in the file.
TEST(TrainTransform, CropsAreDrawnAsDocumented) {
  const Image image = places(100, 180);
  TrainTransformOptions options;
  options.hflip = 0;
  options.crop_prob = 1;
  options.crop_short_sides = {100};  // as it is
  options.crop_size = {40, 120};
  options.short_sides = {150};  // magnifies, so that corners stay as they are
  options.long_side = 1000;
  std::set<int> heights, widths;
  int top = 0, bottom = 0, left = 0, right = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const TensorSample sample = sample_of(image, options, plain_input(), seed);
    const auto pixel = [&](int c, int64_t y, int64_t x) {
      return sample.image[c][y][x].item<int>();
    };
    const int64_t h = sample.info.height - 1, w = sample.info.width - 1;
    const int x1 = pixel(0, 0, 0), x2 = pixel(0, 0, w) + 1;
    const int y1 = pixel(1, 0, 0), y2 = pixel(1, h, 0) + 1;
    heights.insert(y2 - y1);
    widths.insert(x2 - x1);
    top += y1 == 0;
    bottom += y2 == 100;
    left += x1 == 0;
    right += x2 == 180;
    const auto size = fitted_size(y2 - y1, x2 - x1, 150, 1000);
    EXPECT_EQ(size, (CvSize{int(h) + 1, int(w) + 1}));
    expect_whole(sample);
  }
  const auto range = [](const std::set<int>& values) {
    return std::tuple{*values.begin(), *values.rbegin(), values.size()};
  };
  EXPECT_EQ(range(heights), (std::tuple{40, 100, 61u}));
  EXPECT_EQ(range(widths), (std::tuple{40, 120, 81u}));
  // Every border is met, opposite ones equally often (within 4 standard deviations).
  EXPECT_GT(std::min({top, bottom, left, right}), 2);
  EXPECT_LT(std::abs(top - bottom), 4 * std::sqrt(top + bottom));
  EXPECT_LT(std::abs(left - right), 4 * std::sqrt(left + right));
}

TEST(TrainTransform, ChancesAreTheOptions) {
  const Image image = places(32, 64);
  TrainTransformOptions options;
  options.short_sides = {32};
  options.crop_short_sides = {32};
  options.crop_size = {8, 16};
  options.long_side = 1000;
  const auto count = [&](double hflip, double crop_prob) {
    options.hflip = hflip;
    options.crop_prob = crop_prob;
    int flipped = 0, cropped = 0;
    for (uint64_t seed = 0; seed < 400; ++seed) {
      const TensorSample sample = sample_of(image, options, plain_input(), seed);
      const auto row = sample.image[0][0];
      flipped += row[0].item<float>() > row[sample.info.width - 1].item<float>();
      cropped += row[0].item<int>() + row[sample.info.width - 1].item<int>() != 63;
    }
    return std::pair{flipped, cropped};
  };
  EXPECT_EQ(count(0, 0), (std::pair{0, 0}));
  EXPECT_EQ(count(1, 0), (std::pair{400, 0}));
  EXPECT_EQ(count(1, 1).first, 400);
  const auto [flipped, cropped] = count(0.25, 0.5);
  EXPECT_NEAR(flipped, 100, 35);
  EXPECT_NEAR(cropped, 200, 40);
}

TEST(TrainTransform, VerticalFlipsAndColorsAreTheOptions) {
  const Image image = places(32, 64);
  TrainTransformOptions options;
  options.short_sides = {32};
  options.long_side = 1000;
  options.hflip = options.crop_prob = 0;
  const TensorSample plain = sample_of(image, options, plain_input(), 1);
  options.vflip = 1;
  EXPECT_TRUE(sample_of(image, options, plain_input(), 1).image.equal(plain.image.flip({1})));
  options.vflip = 0.25;
  int flipped = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const TensorSample sample = sample_of(image, options, plain_input(), seed);
    expect_whole(sample);
    flipped += !sample.image.equal(plain.image);
  }
  EXPECT_NEAR(flipped, 100, 35);
  options.vflip = 0;
  options.photometric = true;
  int changed = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const TensorSample sample = sample_of(image, options, plain_input(), seed);
    expect_whole(sample);
    changed += !sample.image.equal(plain.image);
  }
  EXPECT_GT(changed, 60);  // of any four changes at least one, mostly
}

TEST(TrainTransform, ItemsAreAFunctionOfTheSeed) {
  const Image image = data::noise_image(60, 90, 3);
  TrainTransformOptions options;
  options.short_sides = {50, 60, 70};
  options.crop_short_sides = {40, 50};
  options.crop_size = {20, 45};
  std::set<double> sums;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const TensorSample a = sample_of(image, options, {}, seed),
                       b = sample_of(image, options, {}, seed);
    EXPECT_TRUE(a.image.equal(b.image));
    EXPECT_TRUE(a.info.boxes.equal(b.info.boxes));
    EXPECT_TRUE(a.info.masks.equal(b.info.masks));
    sums.insert(a.image.sum().item<double>());
  }
  EXPECT_GT(sums.size(), 15u);  // crops all differ; without one there are six
}

TEST(TrainTransform, ACropMayHoldNoObject) {
  TrainTransformOptions options;
  options.crop_prob = 1;
  options.crop_short_sides = options.short_sides = {64};
  options.crop_size = {16, 32};
  int empty = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const ImageObject corner{{0, 0, 20, 20}, 0, 0};
    const TensorSample sample = train_sample(
        ObjectImage(places(64, 64), {corner}), [&](int) { return full_mask(64, 64); }, options, {},
        random);
    const int64_t objects = sample.info.boxes.size(0);
    EXPECT_EQ(sample.info.labels.size(0), objects);
    EXPECT_EQ(sample.info.masks.sizes().vec(),
              (std::vector<int64_t>{objects, sample.info.padded_height, sample.info.padded_width}));
    empty += objects == 0;
  }
  EXPECT_GT(empty, 50);
  EXPECT_LT(empty, 95);
}

TEST(TrainTransform, ImagesOfOnePixelAndLongOnes) {
  for (auto [height, width] : {std::pair{1, 1}, {1, 10000}, {10000, 1}, {3, 7}}) {
    const Image image = data::noise_image(height, width, 3);
    for (uint64_t seed = 0; seed < 3; ++seed) {
      TrainTransformOptions options;
      options.crop_prob = seed > 0 ? 1 : 0;
      expect_whole(sample_of(image, options, {}, seed));
    }
  }
}

TEST(TrainTransform, BadOptionsAreNamed) {
  const auto check = [](auto change, const std::vector<std::string>& words) {
    TrainTransformOptions options;
    change(options);
    test::expect_words(test::error_of(ErrorCode::kInvalidArgument, [&] { validate(options); }),
                       words);
  };
  check([](auto& o) { o.hflip = 1.5; }, {"hflip is 1.5", "between 0 and 1"});
  check([](auto& o) { o.vflip = -0.5; }, {"vflip is -0.5", "between 0 and 1"});
  check([](auto& o) { o.crop_prob = -1; }, {"crop-prob is -1"});
  check([](auto& o) { o.crop_prob = NAN; }, {"crop-prob is nan"});
  check([](auto& o) { o.short_sides = {}; }, {"short-sides"});
  check([](auto& o) { o.short_sides = {480, 0}; }, {"short-sides is 0"});
  check([](auto& o) { o.long_side = 20000; }, {"long-side is 20000", "between 1 and 16384"});
  check([](auto& o) { o.crop_short_sides = {}; }, {"crop-short-sides"});
  check([](auto& o) { o.crop_size = {600, 384}; }, {"crop-size is 600 384"});
  TrainTransformOptions plain;
  validate(plain);
  plain.crop_prob = 0;
  plain.crop_short_sides = {};
  validate(plain);
}

}  // namespace
}  // namespace asmlp::detect::train_transform_test
