#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "asmlp/detection/roi_kernels.h"
#include "asmlp/detection/roi_level.h"
#include "tests/support/support.h"

namespace asmlp::detect::roi_test {
namespace {

// A map at a place between cells, as RoIAlign takes it.
double bilinear(const std::vector<double>& map, int64_t height, int64_t width, double y, double x) {
  if (y < -1 || y > double(height) || x < -1 || x > double(width)) return 0;
  y = std::clamp(y, 0.0, double(height - 1)), x = std::clamp(x, 0.0, double(width - 1));
  const auto y0 = int64_t(y), x0 = int64_t(x);
  const int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
  const double fy = y - double(y0), fx = x - double(x0);
  return (1 - fy) * ((1 - fx) * map[y0 * width + x0] + fx * map[y0 * width + x1]) +
         fy * ((1 - fx) * map[y1 * width + x0] + fx * map[y1 * width + x1]);
}

TEST(RoiSamples, AreBilinearSamples) {
  std::mt19937 random(61);
  std::uniform_real_distribution<double> unit;
  RoiSamples<double> samples;
  samples.reserve(23, 7);
  const double* weights = samples.y.weights.data();
  std::vector<Term<double>> terms;
  std::vector<double> line;
  for (int i = 0; i < 300; ++i) {
    const int64_t height = 1 + int64_t(random() % 20), width = 1 + int64_t(random() % 23);
    const RoiGrid grid{1 + int64_t(random() % 7), 1 + int64_t(random() % 7), int64_t(random() % 3)};
    const double scale = 0.25;
    double box[4];
    for (int k = 0; k < 2; ++k) {
      box[k] = unit(random) * 120 - 20;
      box[k + 2] = box[k] + unit(random) * 100 - (i % 9 == 0 ? 20 : 0);
    }
    std::vector<double> map(height * width);
    for (double& value : map) value = unit(random);
    sample_roi(box, scale, grid, height, width, samples);
    std::vector<double> plane(grid.height * grid.width);
    pool_plane(map.data(), width, samples, line, plane.data());
    const auto bins = [&](int axis, int64_t count) {
      return (box[axis + 2] - box[axis]) * scale / double(count);
    };
    const double bin_x = bins(0, grid.width), bin_y = bins(1, grid.height);
    const auto samples_of = [&](double bin) {
      return grid.sampling_ratio > 0 ? grid.sampling_ratio
                                     : std::max<int64_t>(0, int64_t(std::ceil(bin)));
    };
    const int64_t nx = samples_of(bin_x), ny = samples_of(bin_y);
    for (int64_t by = 0; by < grid.height; ++by) {
      for (int64_t bx = 0; bx < grid.width; ++bx) {
        double sum = 0;
        for (int64_t sy = 0; sy < ny; ++sy) {
          for (int64_t sx = 0; sx < nx; ++sx) {
            const double y =
                box[1] * scale - 0.5 + bin_y * (double(by) + (double(sy) + 0.5) / double(ny));
            const double x =
                box[0] * scale - 0.5 + bin_x * (double(bx) + (double(sx) + 0.5) / double(nx));
            sum += bilinear(map, height, width, y, x);
          }
        }
        const double expected = nx * ny == 0 ? 0 : sum / double(nx * ny);
        // A bin of 100 samples: 100 roundings of numbers of about 1.
        EXPECT_NEAR(plane[by * grid.width + bx], expected, 1e-12) << "seed 61, case " << i;
        set_terms(samples, by, bx, width, 1, terms);
        double combined = NAN;
        combine_rows(map.data(), terms.data(), int64_t(terms.size()), 1, samples.divisor,
                     &combined);
        EXPECT_NEAR(combined, expected, 1e-12);
      }
    }
  }
  EXPECT_EQ(samples.y.weights.data(), weights);  // what was reserved suffices
}

// Many channels at once are what single ones are, but for the rounding of sums of 16 products.
TEST(RoiKernels, CombineRowsOfAnyLength) {
  std::mt19937 random(62);
  std::uniform_real_distribution<float> unit(-1, 1);
  for (const int64_t channels : {1, 3, 15, 16, 63, 64, 65, 256, 300}) {
    std::vector<float> rows(20 * channels), out(channels, 3.0f), sums(channels, 3.0f);
    for (float& value : rows) value = unit(random);
    std::vector<Term<float>> terms;
    for (int64_t i = 0; i < 16; ++i)
      terms.push_back({int64_t(random() % 20) * channels, unit(random)});
    combine_rows(rows.data(), terms.data(), 16, channels, 4.0f, out.data());
    add_combined_rows(rows.data(), terms.data(), 16, channels, sums.data());
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      for (const auto& [offset, weight] : terms) sum += double{weight} * rows[offset + c];
      EXPECT_NEAR(out[c], sum / 4, 16 * 16 * 6e-8);
      EXPECT_NEAR(sums[c], sum + 3, 19 * 16 * 6e-8);
    }
    combine_rows(rows.data(), terms.data(), 0, channels, 1.0f, out.data());
    EXPECT_EQ(out, std::vector<float>(channels, 0.0f));
  }
}

TEST(RoiSamples, OfWhatIsNotFiniteAreAnError) {
  RoiSamples<float> samples;
  for (const float value : {NAN, INFINITY, -INFINITY, 1e9f}) {
    const float box[]{0, 0, 10, value};
    EXPECT_THROW(sample_roi(box, 1.0f, {7, 7, 0}, 20, 20, samples), Error) << value;
  }
  const float box[]{5, 5, 5, 5};
  sample_roi(box, 1.0f, {7, 7, 0}, 20, 20, samples);
  EXPECT_EQ(samples.divisor, 1);
  EXPECT_EQ(samples.x.rows(), 7);
  EXPECT_TRUE(samples.x.weights.empty());
}

TEST(RoiLevel, ChangesAtPowersOfTwoTimes56) {
  const float sides[]{0, 1, 56, 111.9f, 112, 223.9f, 224, 447, 448, 896, 5000};
  const int expected[]{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3};
  for (size_t i = 0; i < std::size(sides); ++i) {
    const Box box{3, 5, 3 + sides[i], 5 + sides[i]};
    EXPECT_EQ(roi_level({0, 0, sides[i], sides[i]}, 4, 56), expected[i]) << sides[i];
    EXPECT_EQ(roi_level({0, 0, sides[i], sides[i]}, 2, 56), std::min(expected[i], 1));
    EXPECT_EQ(roi_level(box, 1, 56), 0);
  }
  // sqrt(w h) counts, not the longer side; 1e-6 of 56 pixels below the edge is still above it.
  EXPECT_EQ(roi_level({10, 10, 38, 458}, 4, 56), 1);
  EXPECT_EQ(roi_level({0, 0, 111.99999f, 112}, 4, 56), 1);
  EXPECT_EQ(roi_level({5, 5, 1, 9}, 4, 56), 0);
  EXPECT_EQ(roi_level({0, 0, NAN, 9}, 4, 56), 0);
  EXPECT_EQ(roi_level({0, 0, INFINITY, 9}, 4, 56), 3);
  EXPECT_EQ(roi_level({0, 0, 3e38f, 3e38f}, 4, 56), 3);
}

}  // namespace
}  // namespace asmlp::detect::roi_test
