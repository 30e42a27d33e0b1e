// mask_from_polygon against the rule as it is described: every grid point of every edge is visited.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp::mask_polygon_test {
namespace {

struct Point {
  int x, y;
  bool operator==(const Point&) const = default;
};

// The points of the outline on the grid of 5 points per pixel, in order.
std::vector<Point> outline(const std::vector<double>& xy) {
  std::vector<Point> corners, points;
  for (size_t i = 0; i < xy.size(); i += 2) {
    corners.push_back({int(5 * xy[i] + 0.5), int(5 * xy[i + 1] + 0.5)});
  }
  for (size_t i = 0; i < corners.size(); ++i) {
    const Point from = corners[i], to = corners[(i + 1) % corners.size()];
    if (from == to) continue;
    const bool flat = std::abs(to.x - from.x) >= std::abs(to.y - from.y);
    const bool backwards = flat ? from.x > to.x : from.y > to.y;
    const Point low = backwards ? to : from, high = backwards ? from : to;
    const int steps = flat ? high.x - low.x : high.y - low.y;
    const double slope = double(flat ? high.y - low.y : high.x - low.x) / steps;
    for (int i = 0; i <= steps; ++i) {
      const int step = backwards ? steps - i : i;
      points.push_back(flat ? Point{low.x + step, int(low.y + slope * step + 0.5)}
                            : Point{int(low.x + slope * step + 0.5), low.y + step});
    }
  }
  return points;
}

// Column-major pixels: each step over the middle of a column turns all pixels from there on.
std::vector<uint8_t> slow_mask(const std::vector<double>& xy, int height, int width) {
  const std::vector<Point> points = outline(xy);
  std::vector<uint8_t> pixels(size_t(height) * width);
  for (size_t i = 1; i < points.size(); ++i) {
    if (points[i].x == points[i - 1].x) continue;
    const double column = (std::min(points[i].x, points[i - 1].x) + 0.5) / 5 - 0.5;
    if (column != std::floor(column) || column < 0 || column > width - 1) continue;
    const double row = (std::min(points[i].y, points[i - 1].y) + 0.5) / 5 - 0.5;
    const double first = std::ceil(std::clamp(row, 0.0, double(height)));
    for (size_t p = size_t(column) * height + size_t(first); p < pixels.size(); ++p) pixels[p] ^= 1;
  }
  return pixels;
}

// Corners within and far beyond the image, whole or not, with repeated points.
std::vector<double> random_polygon(std::mt19937& random, int height, int width) {
  const double margin = std::vector<double>{0, 1.5, 30, 400}[random() % 4];
  const double unit = std::vector<double>{1, 0.1, 0.01, 1e-9}[random() % 4];
  std::uniform_real_distribution<double> x(-margin, width + margin), y(-margin, height + margin);
  std::vector<double> xy;
  for (int left = 3 + static_cast<int>(random() % 8); left > 0; --left) {
    xy.push_back(std::round(x(random) / unit) * unit);
    xy.push_back(std::round(y(random) / unit) * unit);
    if (random() % 8 == 0) xy.insert(xy.end(), {xy[xy.size() - 2], xy[xy.size() - 1]});
  }
  return xy;
}

TEST(MaskPolygon, EqualsThePointwiseRule) {
  std::mt19937 random(12);
  for (int trial = 0; trial < 4000; ++trial) {
    const int height = 1 + static_cast<int>(random() % 50);
    const int width = 1 + static_cast<int>(random() % 50);
    const std::vector<double> xy = random_polygon(random, height, width);
    ASSERT_EQ(decode_mask(mask_from_polygon(xy, height, width), PixelOrder::kColumnMajor),
              slow_mask(xy, height, width))
        << "trial " << trial << ", " << height << " x " << width << ": "
        << ::testing::PrintToString(xy);
  }
}

TEST(MaskPolygon, ByHand) {
  // A square over the pixels 1 and 2 of both axes.
  const MaskRle square = mask_from_polygon(std::vector<double>{1, 1, 3, 1, 3, 3, 1, 3}, 4, 4);
  EXPECT_EQ(square.counts, (std::vector<uint32_t>{5, 2, 2, 2, 5}));
  // The whole image and more.
  const std::vector<double> all = {-9, -9, 20, -9, 20, 20, -9, 20};
  EXPECT_EQ(mask_from_polygon(all, 4, 4).counts, (std::vector<uint32_t>{0, 16}));
  // Beside the image, and without area.
  for (const std::vector<double>& xy :
       {std::vector<double>{10, 10, 12, 10, 12, 12}, {2, 2, 2, 2, 2, 2}, {1, 0, 1, 4, 1, 2}}) {
    EXPECT_EQ(mask_from_polygon(xy, 4, 4).counts, std::vector<uint32_t>{16});
  }
}

TEST(MaskPolygon, BadPolygonsAreErrors) {
  using Numbers = std::vector<double>;
  for (const Numbers& xy : {Numbers{},
                            {1, 1, 2, 2},
                            {1, 1, 2, 2, 3},
                            {1, 1, 2, 2, 3, NAN},
                            {1, 1, 2, 2, INFINITY, 3},
                            {1, 1, 2, 2, 1.1e6, 3}}) {
    EXPECT_THROW(mask_from_polygon(xy, 4, 4), Error);
  }
  EXPECT_THROW(mask_from_polygon(Numbers{0, 0, 1, 1, 2, 0}, 4, 70000), Error);
  // A zigzag over 65535 columns, 300 times, would take 20 million changes.
  Numbers zigzag;
  for (int i = 0; i < 150; ++i) zigzag.insert(zigzag.end(), {0, 0, 65535, 1});
  EXPECT_THROW(mask_from_polygon(zigzag, 1, 65535), Error);
}

}  // namespace
}  // namespace asmlp::mask_polygon_test
