// Every kernel set against the reference, over all shapes around its block sizes.
#include "asmlp/kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "asmlp/kernels/gemm.h"

namespace asmlp {
namespace {

std::vector<float> random_values(int64_t n, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(generator);
  return values;
}

class Kernels : public testing::TestWithParam<Isa> {
 protected:
  const KernelSet& kernels() const { return kernel_set(GetParam()); }
};

TEST_P(Kernels, IsTheOneAskedFor) { EXPECT_EQ(kernels().isa, GetParam()); }

// Product in double; the tolerance is eps * (depth + 2) * sum of magnitudes bound (|a|, |w| <= 1).
TEST_P(Kernels, GemmEqualsTheSumForEveryShape) {
  const int mr = kernels().tile_rows, nr = kernels().tile_cols;
  for (int64_t depth : {1, 2, 7, 48, 383, 384, 385, 800}) {
    for (int64_t cols : {1, nr - 1, nr, nr + 1, 3 * nr}) {
      for (int64_t rows = 1; rows <= 2 * mr + 1; ++rows) {
        const auto a = random_values(rows * depth, 1), w = random_values(cols * depth, 2);
        const auto bias = random_values(cols, 3);
        const PackedMatrix packed(kernels(), w, bias, cols, depth);
        const int64_t ldc = packed.panels() * nr;
        AlignedFloats c(rows * ldc);
        const auto old = random_values(rows * ldc, 4);
        for (TileStart start : {TileStart::kBias, TileStart::kBiasAccumulate}) {
          for (TileEnd end : {TileEnd::kStore, TileEnd::kGelu, TileEnd::kAddGelu}) {
            if (end == TileEnd::kAddGelu && start != TileStart::kBias) continue;
            std::copy(old.begin(), old.end(), c.data());
            gemm(kernels(), packed, {a.data(), depth, c.data(), ldc, rows, 0, packed.panels()},
                 start, end);
            double worst = 0;
            for (int64_t r = 0; r < rows; ++r) {
              for (int64_t j = 0; j < cols; ++j) {
                double sum = bias[j];
                if (start == TileStart::kBiasAccumulate) sum += old[r * ldc + j];
                for (int64_t k = 0; k < depth; ++k)
                  sum += double{a[r * depth + k]} * w[j * depth + k];
                if (end != TileEnd::kStore) sum = sum / 2 * (1 + std::erf(sum / std::sqrt(2.0)));
                if (end == TileEnd::kAddGelu) sum += old[r * ldc + j];
                worst = std::max(worst, std::abs(sum - c.data()[r * ldc + j]));
              }
            }
            const double bound = 1.2e-7 * (depth + 2) + 4e-7 * (depth + 2);
            ASSERT_LE(worst, bound) << rows << " x " << depth << " x " << cols;
          }
        }
      }
    }
  }
}

// An element's bits may not depend on how rows are grouped into tiles.
TEST_P(Kernels, TilesOfAnyHeightGiveTheSameBits) {
  const int nr = kernels().tile_cols;
  const int64_t depth = 130, rows = kernels().tile_rows;
  const auto a = random_values(rows * depth, 5), w = random_values(nr * depth, 6);
  const PackedMatrix packed(kernels(), w, {}, nr, depth);
  AlignedFloats whole(rows * nr), single(nr);
  gemm(kernels(), packed, {a.data(), depth, whole.data(), nr, rows, 0, 1}, TileStart::kBias,
       TileEnd::kGelu);
  for (int64_t r = 0; r < rows; ++r) {
    gemm(kernels(), packed, {a.data() + r * depth, depth, single.data(), nr, 1, 0, 1},
         TileStart::kBias, TileEnd::kGelu);
    for (int64_t j = 0; j < nr; ++j) ASSERT_EQ(single.data()[j], whole.data()[r * nr + j]);
  }
}

TEST_P(Kernels, GeluIsExactToItsBound) {
  for (int64_t n = 0; n <= 35; ++n) {
    auto x = random_values(n, 10 + n, 8.0f);
    auto y = random_values(n, 90 + n);
    const auto x0 = x, y0 = y;
    kernels().add_gelu(x.data(), y.data(), n);
    kernels().gelu(x.data(), n);
    for (int64_t i = 0; i < n; ++i) {
      const double exact = x0[i] / 2.0 * (1 + std::erf(x0[i] / std::sqrt(2.0)));
      const double bound = 4e-7 * std::max(1.0, std::abs(double{x0[i]}));
      ASSERT_NEAR(x[i], exact, bound);
      ASSERT_NEAR(y[i], y0[i] + exact, bound + 1e-6);
    }
  }
  float special[] = {-1e30f, 1e30f, 0.0f, -0.0f, NAN, INFINITY};
  kernels().gelu(special, 6);
  EXPECT_EQ(special[0], 0.0f);
  EXPECT_EQ(special[1], 1e30f);
  EXPECT_EQ(special[2], 0.0f);
  EXPECT_TRUE(std::isnan(special[4]));
  EXPECT_EQ(special[5], INFINITY);
}

TEST_P(Kernels, NormAndStatisticsEqualTheReference) {
  const KernelSet& reference = reference_kernels();
  for (int64_t n = 0; n <= 67; ++n) {
    const auto x = random_values(n, 20 + n, 3.0f), gamma = random_values(n, 30 + n),
               beta = random_values(n, 40 + n);
    const NormArgs norm{0.3f, 1.7f, gamma.data(), beta.data()};
    std::vector<float> got(n), expected(n);
    for (auto member : {&KernelSet::normalize, &KernelSet::normalize_gelu}) {
      (kernels().*member)(x.data(), got.data(), n, norm);
      (reference.*member)(x.data(), expected.data(), n, norm);
      for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(got[i], expected[i], 3e-6);
    }
    const RowStats a = kernels().row_stats(x.data(), n), b = reference.row_stats(x.data(), n);
    ASSERT_NEAR(a.sum, b.sum, 1.2e-7 * 3 * n * 8);
    ASSERT_NEAR(a.m2, b.m2, 1.2e-7 * 9 * n * 8);
  }
}

// The partial loads and stores may not touch memory beyond the end (run under ASan), nor the values
// beyond it.
TEST_P(Kernels, LeaveTheNeighboursAlone) {
  for (int64_t n = 0; n < 20; ++n) {
    auto x = std::make_unique<float[]>(n);
    std::fill_n(x.get(), n, 1.0f);
    kernels().gelu(x.get(), n);
    std::vector<float> y(n + 8, 5.0f);
    kernels().gelu(y.data(), n);
    for (int64_t i = n; i < n + 8; ++i) ASSERT_EQ(y[i], 5.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Kernels, testing::ValuesIn(available_isas()),
                         [](const auto& info) { return to_string(info.param); });

}  // namespace
}  // namespace asmlp
