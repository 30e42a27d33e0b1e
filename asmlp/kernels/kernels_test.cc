// Every kernel set against plain sums in double, over all shapes around its block sizes.
#include "asmlp/kernels/kernels.h"

#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "asmlp/core/aligned.h"
#include "asmlp/kernels/gemm.h"
#include "tests/support/kernel_sets.h"

namespace asmlp::kernels_test {
namespace {

std::vector<float> random_values(int64_t n, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(generator);
  return values;
}

double exact_gelu(double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }

class Kernels : public testing::TestWithParam<const KernelSet*> {
 protected:
  const KernelSet& kernels() const { return *GetParam(); }
  float kept(float value) const { return test::kept(kernels(), value); }
  // The parts of the values in the products, and the tolerance of GELU behind a sum.
  std::vector<float> upper(std::vector<float> values) const {
    for (float& value : values) value = test::upper_part(kernels(), value);
    return values;
  }
  std::vector<float> lower(std::vector<float> values) const {
    for (float& value : values) value = test::lower_part(kernels(), value);
    return values;
  }
};

// Memory for one matrix, and the matrix in it.
struct Packed {
  Packed(const KernelSet& kernels, std::vector<float> weight, const std::vector<float>& bias,
         int64_t cols, int64_t depth)
      : matrix(kernels, cols, depth), memory(matrix.bytes() / int64_t{sizeof(float)}) {
    matrix.place(reinterpret_cast<std::byte*>(memory.data()));
    const Tensor tensor = make_tensor({cols, depth}, std::move(weight));
    for (int64_t panel = 0; panel < matrix.panels(); ++panel) matrix.pack_panel(tensor, panel);
    matrix.pack_bias(bias);
  }
  PackedMatrix matrix;
  AlignedFloats memory;
};

// Rows of A in panel elements, `lda` elements apart, with a NaN behind every row.
struct PanelRows {
  PanelRows(const KernelSet& kernels, const std::vector<float>& a, int64_t rows, int64_t depth)
      : depth_padded(round_up(depth, kernels.depth_step)),
        lda(depth_padded + 2),
        values(rows * lda + 16) {
    std::byte* row = data();
    const std::vector<float> nans(lda, NAN);
    for (int64_t r = 0; r < rows; ++r, row += lda * size_of(kernels.element)) {
      kernels.convert_panel(nans.data(), row, lda, {});
      const std::vector<float> zeros(depth_padded, 0.0f);
      kernels.convert_panel(zeros.data(), row, depth_padded, {});
      kernels.convert_panel(a.data() + r * depth, row, depth, {});
    }
  }
  std::byte* data() { return reinterpret_cast<std::byte*>(values.data()); }
  int64_t depth_padded, lda;
  AlignedFloats values;
};

TEST_P(Kernels, IsTheOneAskedFor) {
  if (test::name_of(kernels()).find("of_int8") == std::string::npos) {
    EXPECT_EQ(&kernel_set(kernels().isa, kernels().precision), &kernels());
  }
  EXPECT_EQ(kernels().bf16_pairs, kernels().element == PanelElement::kBf16);
}

// Product in double of the values as the precision keeps them, without the product of two lower
// parts; the tolerance is eps * (depth + 2) * sum of magnitudes bound (|a|, |w| <= 1), and behind
// it GELU's and the panel's.
TEST_P(Kernels, GemmEqualsTheSumForEveryShape) {
  const int mr = kernels().tile_rows, nr = kernels().tile_cols;
  const bool split = kernels().element == PanelElement::kBf16Split;
  for (int64_t depth : {1, 2, 7, 48, 192, 193, 384, 385, 800}) {
    for (int64_t cols : {1, nr - 1, nr, 2 * nr + 1}) {
      for (int64_t rows = 1; rows <= 2 * mr + 1; rows += depth > 100 ? 3 : 1) {
        const auto a = random_values(rows * depth, 1), w = random_values(cols * depth, 2);
        const auto bias = random_values(cols, 3);
        const Packed packed(kernels(), w, bias, cols, depth);
        PanelRows panel(kernels(), a, rows, depth);
        const int64_t ldc = packed.matrix.panels() * nr;
        const auto upper_a = upper(a), lower_a = lower(a), upper_w = upper(w), lower_w = lower(w);
        std::vector<double> sums(rows * cols);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t j = 0; j < cols; ++j) {
            double sum = 0;
            for (int64_t k = 0; k < depth; ++k) {
              const double a_upper = upper_a[r * depth + k], w_upper = upper_w[j * depth + k];
              sum += a_upper * w_upper;
              if (split) sum += a_upper * lower_w[j * depth + k] + lower_a[r * depth + k] * w_upper;
            }
            sums[r * cols + j] = sum;
          }
        }
        AlignedFloats c(rows * ldc), scratch(gemm_scratch(kernels(), rows, depth));
        const auto old = random_values(rows * ldc, 4);
        struct Case {
          TileStart start;
          TileEnd end;
        };
        for (const Case& one : {Case{TileStart::kBias, TileEnd::kStore},
                                {TileStart::kAccumulate, TileEnd::kStore},
                                {TileStart::kBiasAccumulate, TileEnd::kStore},
                                {TileStart::kBias, TileEnd::kGelu},
                                {TileStart::kBias, TileEnd::kAddGelu},
                                {TileStart::kBias, TileEnd::kGeluPanel}}) {
          std::copy(old.begin(), old.end(), c.data());
          gemm(packed.matrix,
               {.a = panel.data(),
                .lda = panel.lda,
                .c = c.data(),
                .ldc = ldc,
                .rows = rows,
                .panel_begin = 0,
                .panel_end = packed.matrix.panels(),
                .scratch = scratch.data()},
               one.start, one.end);
          const bool to_panel = one.end == TileEnd::kGeluPanel;
          const double bound = 1.2e-7 * (depth + 2) + 4e-7 * (depth + 2);
          double worst = -1;  // by how much an error is beyond its bound
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t j = 0; j < cols; ++j) {
              double expected = sums[r * cols + j], tolerance = bound;
              if (one.start != TileStart::kAccumulate) expected += bias[j];
              if (one.start != TileStart::kBias) expected += old[r * ldc + j];
              if (one.end != TileEnd::kStore) {
                const double x = expected;
                expected = exact_gelu(x);
                tolerance = test::gelu_bound(kernels(), x, expected, bound);
              }
              if (one.end == TileEnd::kAddGelu) expected += old[r * ldc + j];
              const double got = to_panel ? test::panel_at(kernels(), c.data(), r * ldc + j)
                                          : c.data()[r * ldc + j];
              if (to_panel) tolerance += test::panel_step(kernels(), expected);
              worst = std::max(worst, std::abs(expected - got) - tolerance);
            }
          }
          ASSERT_LE(worst, 0) << rows << " x " << depth << " x " << cols << ", start "
                              << static_cast<int>(one.start) << ", end "
                              << static_cast<int>(one.end);
        }
      }
    }
  }
}

// A stored with its rows and columns exchanged: the same bits, because the order of k is the same.
TEST_P(Kernels, TransposedTilesGiveTheSameBits) {
  if (kernels().precision != Precision::kFp32) {
    for (TileKernel tile : kernels().transposed_tiles) EXPECT_EQ(tile, nullptr);
    return;
  }
  const int64_t cols = kernels().tile_cols, tiles = 2;
  for (int64_t depth : {1, 2, 7, 40}) {
    for (int64_t height = 1; height <= kernels().tile_rows; ++height) {
      const int64_t rows = tiles * height, lda = rows + 1;
      const auto transposed = random_values(depth * lda, 7);
      std::vector<float> straight(rows * depth);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t k = 0; k < depth; ++k) straight[r * depth + k] = transposed[k * lda + r];
      }
      AlignedFloats b(depth * cols);
      const auto weights = random_values(depth * cols, 8), bias = random_values(cols, 9);
      std::copy(weights.begin(), weights.end(), b.data());
      for (TileStart start :
           {TileStart::kBias, TileStart::kAccumulate, TileStart::kBiasAccumulate}) {
        auto expected = random_values(rows * cols, 10), found = expected;
        TileArgs args{};
        args.b = b.data();
        args.bias = bias.data();
        args.ldc = cols;
        args.depth = depth;
        args.tiles = tiles;
        args.next = reinterpret_cast<const std::byte*>(b.data());
        args.a = straight.data();
        args.lda = depth;
        args.c = expected.data();
        kernels().tiles[height](args, start);
        args.a = transposed.data();
        args.lda = lda;
        args.c = found.data();
        kernels().transposed_tiles[height](args, start);
        ASSERT_EQ(expected, found) << height << " x " << depth;
      }
    }
  }
}

// An element's bits may not depend on how rows are grouped into tiles, nor on how the depth is cut.
TEST_P(Kernels, TilesOfAnyHeightGiveTheSameBits) {
  const int nr = kernels().tile_cols;
  const int64_t depth = 130, rows = 2 * kernels().tile_rows + 1;
  const auto a = random_values(rows * depth, 5), w = random_values(nr * depth, 6);
  const Packed packed(kernels(), w, {}, nr, depth);
  PanelRows panel(kernels(), a, rows, depth);
  AlignedFloats whole(rows * nr), single(nr), halves(rows * nr),
      scratch(gemm_scratch(kernels(), rows, depth));
  GemmBlock block{.a = panel.data(),
                  .lda = panel.lda,
                  .c = whole.data(),
                  .ldc = nr,
                  .rows = rows,
                  .panel_begin = 0,
                  .panel_end = 1,
                  .scratch = scratch.data()};
  gemm(packed.matrix, block, TileStart::kBias, TileEnd::kStore);
  block.c = halves.data();
  block.depth_end = 64;
  gemm(packed.matrix, block, TileStart::kBias, TileEnd::kStore);
  block.a = panel.data() + 64 * size_of(kernels().element);
  block.depth_begin = 64;
  block.depth_end = panel.depth_padded;
  gemm(packed.matrix, block, TileStart::kAccumulate, TileEnd::kStore);
  for (int64_t r = 0; r < rows; ++r) {
    gemm(packed.matrix,
         {.a = panel.data() + r * panel.lda * size_of(kernels().element),
          .lda = panel.lda,
          .c = single.data(),
          .ldc = nr,
          .rows = 1,
          .panel_begin = 0,
          .panel_end = 1,
          .scratch = scratch.data()},
         TileStart::kBias, TileEnd::kStore);
    for (int64_t j = 0; j < nr; ++j) {
      ASSERT_EQ(single.data()[j], whole.data()[r * nr + j]);
      ASSERT_EQ(halves.data()[r * nr + j], whole.data()[r * nr + j]);
    }
  }
}

TEST_P(Kernels, GeluIsExactToItsBound) {
  const int cols = kernels().tile_cols, rows = 40;
  std::vector<float> x = random_values(rows * cols, 10, 8.0f), y = random_values(rows * cols, 11);
  x[0] = 0, x[1] = -1e30f, x[2] = 1e30f, x[3] = NAN, x[4] = INFINITY, x[5] = 5.6f, x[6] = -5.6f;
  x[7] = -4, x[8] = 4;
  const std::vector<float> old = y;
  std::vector<float> out(rows * cols), panel(rows * cols);
  const auto tile = [&](void* to) { return TileView{x.data(), cols, to, cols, rows, cols}; };
  kernels().gelu(tile(out.data()));
  kernels().add_gelu(tile(y.data()));
  kernels().gelu_panel(tile(panel.data()));
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_NEAR(out[1], 0.0f, 1e-6);
  EXPECT_EQ(out[2], 1e30f);
  EXPECT_TRUE(std::isnan(out[3]));
  EXPECT_EQ(out[4], INFINITY);
  if (kernels().bf16_pairs) {  // the polynomial ends there without an error
    EXPECT_EQ(out[7], 0.0f);
    EXPECT_EQ(out[8], 4.0f);
  }
  for (int i = 5; i < rows * cols; ++i) {
    const double exact = exact_gelu(x[i]), bound = test::gelu_bound(kernels(), x[i], exact);
    ASSERT_NEAR(out[i], exact, bound) << x[i];
    ASSERT_NEAR(y[i], old[i] + exact, bound + 1e-6);
    ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(out[i]));
  }
}

TEST_P(Kernels, NormsEqualTheReference) {
  const KernelSet& reference = reference_kernels(Precision::kFp32);
  for (int64_t n = 0; n <= 139; ++n) {
    const int64_t rows = n % 4, ld_x = n + 2, ld_y = n + 1, all = rows * ld_y;
    const auto x = random_values(rows * ld_x, 20 + n, 3.0f), scale = random_values(n, 30 + n),
               shift = random_values(n, 40 + n);
    const NormArgs norm{scale.data(), shift.data()};
    const auto into = [&](std::vector<float>& y) {
      return NormRows{x.data(), ld_x, y.data(), ld_y, rows, n};
    };
    std::vector<float> plain(all, 7.0f), expected(all, 7.0f), panel(all, 7.0f);
    kernels().normalize(into(plain), norm);
    reference.normalize(into(expected), norm);
    kernels().normalize_panel(into(panel), norm);
    for (int64_t i = 0; i < all; ++i) {
      ASSERT_NEAR(plain[i], expected[i], 3e-6);
      if (i % ld_y == n) continue;  // between the rows
      ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(plain[i]));
    }
    reference.normalize_gelu_panel(into(expected), norm);
    kernels().normalize_gelu_panel(into(panel), norm);
    for (int64_t i = 0; i < all; ++i) {
      if (i % ld_y == n) continue;
      ASSERT_NEAR(test::panel_at(kernels(), panel.data(), i), expected[i],
                  test::gelu_bound(kernels(), 1, expected[i], 3e-6) +
                      test::panel_step(kernels(), expected[i]));
    }
    const auto row = random_values(n, 50 + n, 3.0f);
    kernels().convert_panel(row.data(), panel.data(), std::min(n, all), {});
    for (int64_t i = 0; i < std::min(n, all); ++i) {
      ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(row[i]));
    }
  }
}

TEST_P(Kernels, ReluLeavesTheNeighborsAlone) {
  for (int64_t n = 0; n <= 40; ++n) {
    constexpr int64_t kRows = 3;
    const int64_t ld = n + 2;
    std::vector<float> x = random_values(kRows * ld, 80 + n);
    if (n > 0) x[n - 1] = NAN;
    std::vector<float> expected = x;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t i = 0; i < n; ++i) {
        float& value = expected[r * ld + i];
        if (value < 0) value = 0;
      }
    }
    kernels().relu(x.data(), ld, kRows, n);
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(x[i])) << n;
      } else {
        ASSERT_EQ(x[i], expected[i]) << n;
      }
    }
  }
}

TEST_P(Kernels, AFoldedNormIsTheNorm) {
  const ImageNorm norm{-40.0f, 0.7f};
  for (int64_t n = 0; n <= 70; ++n) {
    const auto gamma = random_values(n, 60 + n), beta = random_values(n, 70 + n);
    std::vector<float> scale(n + 16, 5.0f), shift(n + 16, 5.0f);
    kernels().fold_norm(norm, gamma.data(), beta.data(), n, scale.data(), shift.data());
    for (int64_t i = 0; i < n + 16; ++i) {
      ASSERT_EQ(scale[i], i < n ? 0.7f * gamma[i] : 5.0f);
      ASSERT_EQ(shift[i], i < n ? std::fma(40.0f, scale[i], beta[i]) : 5.0f);
    }
  }
}

// Every row has its own statistics, the same bits whatever rows are taken with it; what lies
// between the rows does not matter.
TEST_P(Kernels, RowStatisticsEqualTheSums) {
  const KernelSet& reference = kernel_set(Isa::kReference);
  for (int64_t n : {0, 1, 7, 15, 16, 17, 24, 31, 96, 100, 384, 771}) {
    for (int64_t rows : {0, 1, 3, 4, 5, 8, 11}) {
      const int64_t ld = n + 3;
      std::vector<float> x = random_values(rows * ld, 20 + n, 3.0f);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = 0; i < n; ++i) x[r * ld + i] += 5.0f;
        std::fill_n(x.begin() + r * ld + n, 3, NAN);
      }
      std::vector<RowStats> found(rows), expected(rows);
      kernels().row_stats(x.data(), ld, rows, n, found.data());
      reference.row_stats(x.data(), ld, rows, n, expected.data());
      for (int64_t r = 0; r < rows; ++r) {
        ASSERT_NEAR(found[r].sum, expected[r].sum, 1.2e-7 * 8 * n * 8) << n << " " << r;
        ASSERT_NEAR(found[r].m2, expected[r].m2, 1.2e-7 * 64 * n * 8) << n << " " << r;
        RowStats alone;
        kernels().row_stats(x.data() + r * ld, ld, 1, n, &alone);
        ASSERT_EQ(alone.sum, found[r].sum) << n << " " << r;
        ASSERT_EQ(alone.m2, found[r].m2) << n << " " << r;
      }
    }
  }
}

// Every way of rounding to bf16 gives the nearest one: ties, overflow, subnormals aside (the
// hardware's conversion flushes them), infinities, NaN. Two parts give the number to 2^-16.
TEST_P(Kernels, PanelsAreRoundedToNearestEven) {
  std::vector<float> x;
  for (uint32_t bits :
       {0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x3f808001u, 0x7f7fffffu, 0xff7fffffu, 0x00000000u,
        0x80000000u, 0x7f800000u, 0xff800000u, 0x42280000u}) {
    x.push_back(std::bit_cast<float>(bits));
  }
  for (float value : random_values(1000, 50, 1e6f)) x.push_back(value);
  const bool split = kernels().element == PanelElement::kBf16Split;
  if (split) std::erase_if(x, [](float v) { return std::abs(v) > 3e38f; });  // inf - inf
  std::vector<float> panel(x.size() + 1);
  kernels().convert_panel(x.data(), panel.data(), static_cast<int64_t>(x.size()), {});
  for (size_t i = 0; i < x.size(); ++i) {
    if (split) {
      ASSERT_NEAR(test::panel_at(kernels(), panel.data(), i), x[i], std::abs(x[i]) / 65536);
    }
    ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(x[i])) << x[i];
  }
  const float nan = std::bit_cast<float>(0x7f800001u);  // rounding carelessly makes it infinite
  kernels().convert_panel(&nan, panel.data(), 1, {});
  EXPECT_TRUE(std::isnan(test::panel_at(kernels(), panel.data(), 0)));
}

// The partial loads and stores may not touch memory beyond the end (run under ASan), nor the values
// beyond it.
TEST_P(Kernels, LeaveTheNeighborsAlone) {
  for (int64_t n = 0; n < 40; ++n) {
    auto x = std::make_unique<float[]>(n);
    std::fill_n(x.get(), n, 1.0f);
    const NormArgs norm{x.get(), x.get()};
    kernels().normalize({x.get(), n, x.get(), n, 1, n}, norm);
    std::vector<float> y(n + 16, 5.0f), ones(n, 1.0f);
    kernels().normalize_panel({y.data(), n, y.data(), n, 1, n}, {ones.data(), ones.data()});
    const int64_t panel_floats = (n * size_of(kernels().element) + 3) / 4;
    for (int64_t i = std::max(n, panel_floats); i < n + 16; ++i) ASSERT_EQ(y[i], 5.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, Kernels, testing::ValuesIn(test::kernel_sets_under_test()),
                         [](const auto& info) { return test::name_of(*info.param); });

}  // namespace
}  // namespace asmlp::kernels_test
