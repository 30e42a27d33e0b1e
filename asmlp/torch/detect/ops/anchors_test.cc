#include "asmlp/torch/detect/ops/anchors.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/boxes.h"

namespace asmlp::detect::anchors_test {
namespace {

TEST(Anchors, LieOnTheCornersOfTheirCells) {
  const AnchorConfig config{.strides = {4, 8}, .scale = 8, .ratios = {0.5, 1, 2}};
  const auto levels = make_anchors(config, {{3, 5}, {2, 3}});
  ASSERT_EQ(levels.size(), 2u);
  for (size_t level = 0; level < 2; ++level) {
    const int64_t height = level ? 2 : 3, width = level ? 3 : 5, stride = config.strides[level];
    ASSERT_EQ(levels[level].sizes(), torch::IntArrayRef({height * width * 3, 4}));
    int64_t i = 0;
    for (int64_t row = 0; row < height; ++row) {
      for (int64_t column = 0; column < width; ++column) {
        for (double ratio : config.ratios) {
          const double w = 8.0 * stride / std::sqrt(ratio), h = 8.0 * stride * std::sqrt(ratio);
          const double x = column * stride, y = row * stride;
          const auto expected = torch::tensor({x - w / 2, y - h / 2, x + w / 2, y + h / 2});
          // A few roundings of numbers below 64.
          EXPECT_LT(max_difference(levels[level][i++].to(torch::kDouble), expected), 64 * 4 * 6e-8);
        }
      }
    }
  }
  // Of ratio 1 they are exact: 32 pixels around the origin.
  EXPECT_TRUE(levels[0][1].equal(values_of({-16, -16, 16, 16})));
}

// An image of 9 x 12 pixels padded to 16 x 16, in a batch padded to 16 x 20, at stride 4: 4 x 5
// cells, of which 4 x 4 are the image's.
TEST(Anchors, OfThePaddingOrAcrossTheBorderAreNotUsed) {
  const AnchorConfig config{.strides = {4}, .scale = 1, .ratios = {1}};
  const std::vector<MapSize> sizes{{4, 5}};
  const auto anchors = make_anchors(config, sizes);
  const auto usable = [&](int64_t border) {
    return usable_anchors(config, sizes, anchors, {16, 16}, {9, 12}, border).view({4, 5});
  };
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t column = 0; column < 5; ++column) {
      EXPECT_EQ(usable(-1)[row][column].item<bool>(), column < 4);
      // An anchor reaches 2 pixels to each side: inside are x in {4, 8}, y = 4 (8 + 2 > 9).
      const bool inside = (column == 1 || column == 2) && row == 1;
      EXPECT_EQ(usable(0)[row][column].item<bool>(), inside && 4 * column + 2 < 12);
      const bool nearly = column < 4 && 4 * row + 2 < 9 + 3 && 4 * column + 2 < 12 + 3;
      EXPECT_EQ(usable(3)[row][column].item<bool>(), nearly);
    }
  }
  // The cells of a padded size that is no multiple of the stride are rounded up.
  EXPECT_EQ(usable_anchors(config, sizes, anchors, {9, 13}, {9, 12}, -1).sum().item<int64_t>(),
            3 * 4);
}

TEST(Anchors, AMapIsFlattenedInTheirOrder) {
  const auto map = torch::arange(2 * 12 * 2 * 3).view({2, 12, 2, 3});
  for (const auto& stored : {map, map.contiguous(at::MemoryFormat::ChannelsLast)}) {
    const auto flat = flatten_map(stored, 4);
    ASSERT_EQ(flat.sizes(), torch::IntArrayRef({2, 2 * 3 * 3, 4}));
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t column = 0; column < 3; ++column) {
        for (int64_t k = 0; k < 12; ++k) {
          EXPECT_TRUE(flat[1][(row * 3 + column) * 3 + k / 4][k % 4].equal(map[1][k][row][column]));
        }
      }
    }
  }
  const auto channels_last = map.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_EQ(flatten_map(channels_last, 4).data_ptr(), channels_last.data_ptr());
}

TEST(Anchors, RefuseWhatDoesNotFit) {
  EXPECT_THROW(make_anchors({}, {{2, 2}}), Error);
  EXPECT_THROW(make_anchors({.strides = {4}}, {{0, 2}}), Error);
  EXPECT_THROW(make_anchors({.strides = {4}, .ratios = {-1}}, {{2, 2}}), Error);
  EXPECT_THROW(flatten_map(torch::zeros({1, 5, 2, 2}), 4), Error);
  const AnchorConfig config{.strides = {4}};
  const auto anchors = make_anchors(config, {{2, 2}});
  EXPECT_THROW(usable_anchors(config, {{2, 3}}, anchors, {8, 8}, {8, 8}, 0), Error);
  EXPECT_THROW(usable_anchors(config, {{2, 2}}, anchors, {8, 8}, {8, 8}, -2), Error);
}

}  // namespace
}  // namespace asmlp::detect::anchors_test
