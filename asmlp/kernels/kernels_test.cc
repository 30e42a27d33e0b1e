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
      kernels.convert_panel(nans.data(), row, lda);
      const std::vector<float> zeros(depth_padded, 0.0f);
      kernels.convert_panel(zeros.data(), row, depth_padded);
      kernels.convert_panel(a.data() + r * depth, row, depth);
    }
  }
  std::byte* data() { return reinterpret_cast<std::byte*>(values.data()); }
  int64_t depth_padded, lda;
  AlignedFloats values;
};

TEST_P(Kernels, IsTheOneAskedFor) {
  if (&kernels() != &base_kernel_set(kernels().isa, Precision::kInt8)) {
    EXPECT_EQ(&kernel_set(kernels().isa, kernels().precision), &kernels());
  }
  EXPECT_EQ(kernels().bf16_pairs, kernels().element == PanelElement::kBf16);
}

// Product in double of the values as the precision keeps them; the tolerance is
// eps * (depth + 2) * sum of magnitudes bound (|a|, |w| <= 1), for GELU into a bf16 panel its step.
TEST_P(Kernels, GemmEqualsTheSumForEveryShape) {
  const int mr = kernels().tile_rows, nr = kernels().tile_cols;
  for (int64_t depth : {1, 2, 7, 48, 192, 193, 384, 385, 800}) {
    for (int64_t cols : {1, nr - 1, nr, 2 * nr + 1}) {
      for (int64_t rows = 1; rows <= 2 * mr + 1; rows += depth > 100 ? 3 : 1) {
        const auto a = random_values(rows * depth, 1), w = random_values(cols * depth, 2);
        const auto bias = random_values(cols, 3);
        const Packed packed(kernels(), w, bias, cols, depth);
        PanelRows panel(kernels(), a, rows, depth);
        const int64_t ldc = packed.matrix.panels() * nr;
        std::vector<double> sums(rows * cols);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t j = 0; j < cols; ++j) {
            for (int64_t k = 0; k < depth; ++k) {
              sums[r * cols + j] += double{kept(a[r * depth + k])} * kept(w[j * depth + k]);
            }
          }
        }
        AlignedFloats c(rows * ldc), scratch(gemm_scratch(kernels(), rows));
        const auto old = random_values(rows * ldc, 4);
        struct Case {
          TileStart start;
          TileEnd end;
        };
        for (const Case& one : {Case{TileStart::kBias, TileEnd::kStore},
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
          double worst = 0;
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t j = 0; j < cols; ++j) {
              double expected = bias[j] + sums[r * cols + j];
              if (one.start == TileStart::kBiasAccumulate) expected += old[r * ldc + j];
              if (one.end != TileEnd::kStore) expected = exact_gelu(expected);
              if (one.end == TileEnd::kAddGelu) expected += old[r * ldc + j];
              const double got = to_panel ? test::panel_at(kernels(), c.data(), r * ldc + j)
                                          : c.data()[r * ldc + j];
              const bool coarse = to_panel && kernels().precision == Precision::kBf16;
              const double step = coarse ? std::abs(expected) / 256 : 0.0;
              worst = std::max(worst, std::abs(expected - got) - step);
            }
          }
          const double bound = 1.2e-7 * (depth + 2) + 4e-7 * (depth + 2);
          ASSERT_LE(worst, bound) << rows << " x " << depth << " x " << cols;
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
  const int64_t depth = 130, rows = kernels().tile_rows;
  const auto a = random_values(rows * depth, 5), w = random_values(nr * depth, 6);
  const Packed packed(kernels(), w, {}, nr, depth);
  PanelRows panel(kernels(), a, rows, depth);
  AlignedFloats whole(rows * nr), single(nr), halves(rows * nr),
      scratch(gemm_scratch(kernels(), rows));
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
  for (int i = 5; i < rows * cols; ++i) {
    const double exact = exact_gelu(x[i]), bound = 4e-7 * std::max(1.0, std::abs(double{x[i]}));
    ASSERT_NEAR(out[i], exact, bound) << x[i];
    ASSERT_NEAR(y[i], old[i] + exact, bound + 1e-6);
    ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(out[i]));
  }
}

TEST_P(Kernels, NormAndStatisticsEqualTheReference) {
  const KernelSet& reference = reference_kernels(Precision::kFp32);
  for (int64_t n = 0; n <= 139; ++n) {
    const auto x = random_values(n, 20 + n, 3.0f), gamma = random_values(n, 30 + n),
               beta = random_values(n, 40 + n);
    const NormArgs norm{0.3f, 1.7f, gamma.data(), beta.data()};
    std::vector<float> plain(n), expected(n), panel(n);
    kernels().normalize(x.data(), plain.data(), n, norm);
    reference.normalize(x.data(), expected.data(), n, norm);
    kernels().normalize_panel(x.data(), panel.data(), n, norm);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_NEAR(plain[i], expected[i], 3e-6);
      ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(plain[i]));
    }
    reference.normalize_gelu_panel(x.data(), expected.data(), n, norm);
    kernels().normalize_gelu_panel(x.data(), panel.data(), n, norm);
    const double step = kernels().precision == Precision::kBf16 ? 1.0 / 256 : 0.0;
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_NEAR(test::panel_at(kernels(), panel.data(), i), expected[i],
                  3e-6 + step * std::abs(expected[i]));
    }
    kernels().convert_panel(x.data(), panel.data(), n);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(x[i]));
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
// hardware's conversion flushes them), infinities, NaN.
TEST_P(Kernels, PanelsAreRoundedToNearestEven) {
  std::vector<float> x;
  for (uint32_t bits :
       {0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x3f808001u, 0x7f7fffffu, 0xff7fffffu, 0x00000000u,
        0x80000000u, 0x7f800000u, 0xff800000u, 0x42280000u}) {
    x.push_back(std::bit_cast<float>(bits));
  }
  for (float value : random_values(1000, 50, 1e6f)) x.push_back(value);
  std::vector<float> panel(x.size() + 1);
  kernels().convert_panel(x.data(), panel.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(test::panel_at(kernels(), panel.data(), i), kept(x[i])) << x[i];
  }
  const float nan = std::bit_cast<float>(0x7f800001u);  // rounding carelessly makes it infinite
  kernels().convert_panel(&nan, panel.data(), 1);
  EXPECT_TRUE(std::isnan(test::panel_at(kernels(), panel.data(), 0)));
}

// The partial loads and stores may not touch memory beyond the end (run under ASan), nor the values
// beyond it.
TEST_P(Kernels, LeaveTheNeighborsAlone) {
  for (int64_t n = 0; n < 40; ++n) {
    auto x = std::make_unique<float[]>(n);
    std::fill_n(x.get(), n, 1.0f);
    const NormArgs norm{0.0f, 1.0f, x.get(), x.get()};
    kernels().normalize(x.get(), x.get(), n, norm);
    std::vector<float> y(n + 16, 5.0f), gamma(n, 1.0f);
    kernels().normalize_panel(y.data(), y.data(), n, {0.0f, 1.0f, gamma.data(), gamma.data()});
    const int64_t panel_floats = (n * size_of(kernels().element) + 3) / 4;
    for (int64_t i = std::max(n, panel_floats); i < n + 16; ++i) ASSERT_EQ(y[i], 5.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, Kernels, testing::ValuesIn(test::kernel_sets_under_test()),
                         [](const auto& info) { return test::name_of(*info.param); });

}  // namespace
}  // namespace asmlp::kernels_test
