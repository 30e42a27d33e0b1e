#include "asmlp/torch/segment/train_transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "asmlp/model/segmentor_config.h"
#include "asmlp/torch/data/dense_input.h"
#include "tests/support/weight_files.h"

namespace asmlp::segment::train_transform_test {
namespace {

using data::Random;

// Blocks of side `block`, each of one class and of a color that says which.
constexpr uint8_t kStep = 25;
LabeledImage blocks(int height, int width, int block, const std::vector<uint8_t>& classes) {
  LabeledImage sample{Image(height, width, 3), Image(height, width, 1), "blocks"};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const size_t at = size_t(y / block) * size_t((width + block - 1) / block) + x / block;
      const uint8_t label = classes[at % classes.size()];
      sample.labels.row(y)[x] = label;
      std::fill_n(sample.image.row(y) + 3 * x, 3, uint8_t(label == 255 ? 250 : label * kStep));
    }
  }
  return sample;
}

// Values of the network are those of the pixels.
DenseInput plain_input(int short_side, int long_side) {
  DenseInput input = segmentor_input();
  input.short_side = short_side;
  input.long_side = long_side;
  input.mean.assign(3, 0);
  input.std.assign(3, 1);
  return input;
}

TrainTransformOptions nothing_drawn(int crop) {
  return {
      .ratio_range = {1, 1}, .crop = crop, .cat_max_ratio = 1, .hflip = 0, .photometric = false};
}

TEST(TrainSample, WithoutDrawsItIsTheTestInputPadded) {
  const LabeledImage sample = blocks(37, 61, 5, {0, 3, 255, 1, 2});
  DenseInput input = segmentor_input();
  input.short_side = 48;
  input.long_side = 70;
  const data::TensorSample test = data::test_sample(sample.image, input);
  Random random(1);
  input.pad_multiple = 32;  // of no meaning here
  const data::TensorSample result = train_sample(sample, input, nothing_drawn(80), random);
  ASSERT_EQ(result.image.sizes(), (torch::IntArrayRef{3, 80, 80}));
  ASSERT_EQ(result.target.sizes(), (torch::IntArrayRef{80, 80}));
  const int64_t h = test.info.height, w = test.info.width;
  EXPECT_EQ(result.info.height, h);
  EXPECT_EQ(result.info.width, w);
  EXPECT_EQ(result.info.padded_width, 80);
  EXPECT_EQ(result.info.original_height, 37);
  EXPECT_TRUE(torch::equal(result.image.narrow(1, 0, h).narrow(2, 0, w), test.image));
  for (const int dim : {0, 1}) {
    const int64_t inside = dim == 0 ? h : w;
    EXPECT_TRUE((result.image.narrow(1 + dim, inside, 80 - inside) == 0).all().item<bool>());
    EXPECT_TRUE((result.target.narrow(dim, inside, 80 - inside) == 255).all().item<bool>());
  }
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      ASSERT_EQ(result.target[y][x].item<int>(), sample.labels.row(int(y * 37 / h))[x * 61 / w]);
    }
  }
}

TEST(TrainSample, FlipsAreThoseOfTheTransformedImage) {
  const LabeledImage sample = blocks(40, 40, 5, {0, 3, 255, 1, 2});
  TrainTransformOptions options = nothing_drawn(40);
  const auto run = [&] {
    Random random(1);
    return train_sample(sample, plain_input(40, 40), options, random);
  };
  const data::TensorSample plain = run();
  options.vflip = 1;
  const data::TensorSample turned = run();
  EXPECT_TRUE(turned.image.equal(plain.image.flip({1})));
  EXPECT_TRUE(turned.target.equal(plain.target.flip({0})));
  options.hflip = 1;
  EXPECT_TRUE(run().image.equal(plain.image.flip({1, 2})));
}

// Whatever is drawn, image and labels move together: away from the edges of blocks, which bilinear
// and nearest put differently, a pixel has the color of its class.
TEST(TrainSample, ImageAndLabelsStayTogether) {
  const LabeledImage sample = blocks(60, 90, 30, {1, 2, 3, 4, 5, 6});
  TrainTransformOptions options;
  options.crop = 64;
  options.photometric = false;
  options.vflip = 0.5;
  int64_t compared = 0, padded = 0, mirrored = 0;
  std::set<int64_t> heights;
  const int runs = 60;
  for (uint64_t seed = 0; seed < runs; ++seed) {
    Random random(data::mix64(seed));
    const data::TensorSample result = train_sample(sample, plain_input(60, 240), options, random);
    const int64_t h = result.info.height, w = result.info.width;
    heights.insert(h);
    const auto image = result.image.contiguous();
    const auto values = image.accessor<float, 3>();
    const auto labels = result.target.accessor<uint8_t, 2>();
    padded += (result.target == 255).sum().item<int64_t>();
    ASSERT_EQ((result.target == 255).sum().item<int64_t>(), 64 * 64 - h * w);
    for (int64_t y = 3; y + 3 < h; ++y) {
      for (int64_t x = 3; x + 3 < w; ++x) {
        if (labels[y - 3][x - 3] != labels[y + 3][x + 3]) continue;
        if (labels[y - 3][x + 3] != labels[y + 3][x - 3]) continue;
        if (labels[y][x] != labels[y - 3][x - 3]) continue;
        ASSERT_EQ(values[1][y][x], labels[y][x] * kStep) << seed;
        ++compared;
      }
    }
    // Classes grow to the right in a row; mirrored, to the left.
    mirrored += labels[0][0] > labels[0][w - 1];
  }
  EXPECT_GT(compared, runs * 500);
  EXPECT_GT(padded, 0);
  EXPECT_GT(heights.size(), 5u);
  EXPECT_TRUE(mirrored > runs / 4 && mirrored < runs * 3 / 4) << mirrored;
}

TEST(TrainSample, ScalesAreUniform) {
  const LabeledImage sample = blocks(20, 30, 10, {0, 1});
  TrainTransformOptions options = nothing_drawn(200);
  options.ratio_range = {0.5, 2};
  Random random(3);
  const int runs = 2000;
  double sum = 0, least = 1e9, most = 0;
  for (int i = 0; i < runs; ++i) {
    const auto height =
        double(train_sample(sample, plain_input(40, 4000), options, random).info.height);
    sum += height;
    least = std::min(least, height);
    most = std::max(most, height);
  }
  // int(r * 40) for r in [0.5, 2): 20..79, mean 49.5, deviation 17.3.
  EXPECT_EQ(least, 20);
  EXPECT_EQ(most, 79);
  EXPECT_NEAR(sum / runs, 49.5, 5 * 17.3 / std::sqrt(runs));
}

// Five windows of 4 x 4; which one it was shows in its first column.
TEST(TrainSample, CropsOfOneClassAreDrawnAgain) {
  const auto tops = [](const std::vector<uint8_t>& rows, double most) {
    LabeledImage sample{Image(8, 4, 3), Image(8, 4, 1), "rows"};
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 4; ++x) {
        sample.labels.row(y)[x] = rows[size_t(y)];
        std::fill_n(sample.image.row(y) + 3 * x, 3, uint8_t(y));
      }
    }
    TrainTransformOptions options = nothing_drawn(4);
    options.cat_max_ratio = most;
    std::map<int, int> counts;
    Random random(5);
    for (int i = 0; i < 500; ++i) {
      ++counts[train_sample(sample, plain_input(4, 8), options, random).image[0][0][0].item<int>()];
    }
    return counts;
  };
  const auto near_100 = [](int count) { return count > 55 && count < 145; };
  // The shares of the largest class are 3/4 (not less than 0.75), 1/2, 3/4, 1, 3/4.
  const std::vector<uint8_t> rows{0, 0, 0, 1, 1, 1, 1, 2};
  for (const auto& [top, count] : tops(rows, 1)) EXPECT_TRUE(near_100(count)) << top;
  const auto half = tops(rows, 0.75);
  EXPECT_GT(half.at(1), 430);  // 1 - (4/5)^10 * 4/5 = 0.914
  const auto all = tops(rows, 0.76);
  EXPECT_FALSE(all.contains(3)) << all.at(3);  // 500 / 5^11
  for (const auto& [top, count] : all) EXPECT_GT(count, 80) << top;
  // Pixels without class have no share: one class, 2/3, 2/3, 2/3, 2/4.
  EXPECT_GT(tops({255, 0, 0, 255, 1, 1, 0, 2}, 0.65).at(4), 430);
  // Where no window will do, the eleventh is taken.
  for (const auto& [top, count] : tops(std::vector<uint8_t>(8, 0), 0.75)) {
    EXPECT_TRUE(near_100(count)) << top;
  }
}

TEST(TrainTransformOptions, MistakesAreNamed) {
  const auto refused = [](const TrainTransformOptions& options, const std::string& word) {
    test::expect_words(test::error_of(ErrorCode::kInvalidArgument, [&] { validate(options); }),
                       {word});
  };
  validate(TrainTransformOptions{});
  refused({.ratio_range = {2, 1}}, "ratio-range is 2 1");
  refused({.crop = 0}, "crop is 0");
  refused({.cat_max_ratio = 1.5}, "cat-max-ratio is 1.5");
  refused({.hflip = -0.1}, "hflip is -0.1");
  Random random(1);
  test::error_of(ErrorCode::kInvalidArgument, [&] {
    train_sample({Image(0, 4, 3), Image(0, 4, 1), ""}, plain_input(4, 8), {}, random);
  });
}

}  // namespace
}  // namespace asmlp::segment::train_transform_test
