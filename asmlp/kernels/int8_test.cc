// The int8 sets: exact sums, and floating-point functions whose bits are those of the portable set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "asmlp/core/aligned.h"
#include "asmlp/kernels/gather.h"
#include "asmlp/kernels/gemm.h"
#include "asmlp/kernels/int8_kernels.h"
#include "asmlp/kernels/peak.h"
#include "tests/support/kernel_sets.h"

namespace asmlp::int8_test {
namespace {

std::vector<float> random_values(int64_t n, unsigned seed, float scale) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(generator);
  return values;
}

// Bytes of -limit - 1 or -limit to limit, every fourth one an extreme.
std::vector<int8_t> random_bytes(int64_t n, unsigned seed, int lowest) {
  std::mt19937 generator(seed);
  std::vector<int8_t> values(n);
  for (int8_t& value : values) {
    const int random = static_cast<int>(generator() % 1024);
    value = static_cast<int8_t>(random < 128   ? lowest
                                : random < 256 ? 127
                                               : lowest + random % (128 - lowest));
  }
  return values;
}

// Element i of a panel: the value q.
int at(const KernelSet& kernels, const void* panel, int64_t i) {
  switch (kernels.element) {
    case PanelElement::kInt8:
      return static_cast<const int8_t*>(panel)[i];
    case PanelElement::kUint8:
      return static_cast<const uint8_t*>(panel)[i] - 128;
    default:
      return static_cast<const int16_t*>(panel)[i];
  }
}

void put(const KernelSet& kernels, void* panel, int64_t i, int q) {
  switch (kernels.element) {
    case PanelElement::kInt8:
      static_cast<int8_t*>(panel)[i] = static_cast<int8_t>(q);
      break;
    case PanelElement::kUint8:
      static_cast<uint8_t*>(panel)[i] = static_cast<uint8_t>(q + 128);
      break;
    default:
      static_cast<int16_t*>(panel)[i] = static_cast<int16_t>(q);
  }
}

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

class Int8 : public testing::TestWithParam<const KernelSet*> {
 protected:
  const KernelSet& kernels() const { return *GetParam(); }
  const KernelSet& base() const { return *kernels().int8->base; }
};

const KernelSet& portable() { return reference_int8_kernels(); }
const KernelSet& portable_base() { return *portable().int8->base; }

struct Layer {
  Layer(const KernelSet& kernels, int64_t cols, int64_t depth, int zero_point, unsigned seed)
      : weight(random_bytes(cols * depth, seed, -127)),
        bias(random_values(cols, seed + 1, 2.0f)),
        scales(random_values(cols, seed + 2, 1.0f)),
        matrix(kernels, cols, depth),
        memory(matrix.bytes() / int64_t{sizeof(float)}) {
    for (float& scale : scales) scale = std::abs(scale) / 4000;
    matrix.place(reinterpret_cast<std::byte*>(memory.data()));
    matrix.pack_scales(scales, kInputScale, zero_point);
    matrix.pack_bias(bias);
    Tensor tensor;
    tensor.dtype = DType::kI8;
    tensor.shape = {cols, depth};
    tensor.bytes = std::as_bytes(std::span(weight));
    for (int64_t panel = 0; panel < matrix.panels(); ++panel) matrix.pack_panel(tensor, panel);
  }
  static constexpr float kInputScale = 0.0375f;
  std::vector<int8_t> weight;
  std::vector<float> bias, scales;
  PackedMatrix matrix;
  AlignedFloats memory;
};

// fma(float(sum), scale, bias) of rows with a layer.
std::vector<float> values_of(const Layer& layer, const std::vector<int8_t>& a, int64_t rows,
                             int zero_point) {
  const int64_t cols = layer.matrix.cols(), depth = layer.matrix.depth();
  std::vector<float> values(rows * cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < cols; ++j) {
      int64_t sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += (a[r * depth + k] - zero_point) * layer.weight[j * depth + k];
      }
      values[r * cols + j] = std::fma(static_cast<float>(static_cast<int32_t>(sum)),
                                      layer.scales[j] * Layer::kInputScale, layer.bias[j]);
    }
  }
  return values;
}

TEST_P(Int8, IsTheOneAskedFor) {
  EXPECT_EQ(&kernel_set(kernels().isa, Precision::kInt8), &kernels());
  EXPECT_EQ(&base_kernel_set(kernels().isa, Precision::kInt8), &base());
  EXPECT_EQ(base().precision, Precision::kFp32);
  EXPECT_EQ(base().tile_cols, kernels().tile_cols);
  EXPECT_EQ(kernels().depth_step % kernels().int8->depth_group, 0);
  EXPECT_GT(kernels().peak_loop(100), 0);
}

// Every shape around the blocks, with the extreme values in between; depths of several passes.
TEST_P(Int8, GemmIsExactForEveryShape) {
  const int64_t mr = kernels().tile_rows, nr = kernels().tile_cols;
  unsigned seed = 1;
  for (int64_t depth : {1, 2, 3, 5, 31, 64, 65, 130, 384, 1600, 3333}) {
    for (int64_t cols : {int64_t{1}, nr - 1, nr, 2 * nr + 1}) {
      std::vector<int64_t> heights;
      for (int64_t rows = 1; rows <= 2 * mr + 1; rows += depth > 100 ? 7 : 1)
        heights.push_back(rows);
      if (depth == 65) heights.push_back(150);
      const int zero_point = static_cast<int>(seed * 37 % 256) - 128;
      const Layer layer(kernels(), cols, depth, zero_point, ++seed);
      const auto a = random_bytes(heights.back() * depth, ++seed, -128);
      const auto values = values_of(layer, a, heights.back(), zero_point);
      std::vector<float> in(round_up(values.size(), 16)), gelu_values(in.size());
      std::copy(values.begin(), values.end(), in.begin());
      portable_base().gelu({in.data(), 0, gelu_values.data(), 0, 1, static_cast<int>(in.size())});
      const Layer next(kernels(), 1, cols, 3, ++seed);
      const PackedMatrix fp32_next(base(), 1, cols);
      for (int64_t rows : heights) {
        const int64_t padded = layer.matrix.padded_depth(), lda = padded + 3,
                      ldc = layer.matrix.panels() * nr;
        AlignedFloats panel(rows * lda + 16), c(rows * ldc),
            scratch(gemm_scratch(kernels(), rows, depth));
        for (int64_t i = 0; i < rows * lda; ++i) put(kernels(), panel.data(), i, 77);  // any byte
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t k = 0; k < depth; ++k) {
            put(kernels(), panel.data(), r * lda + k, a[r * depth + k]);
          }
        }
        const auto old = random_values(rows * ldc, ++seed, 1.0f);
        struct Case {
          TileStart start;
          TileEnd end;
          const PackedMatrix* next;
        };
        for (const Case& one : {Case{TileStart::kBias, TileEnd::kStore, nullptr},
                                {TileStart::kBiasAccumulate, TileEnd::kStore, nullptr},
                                {TileStart::kBias, TileEnd::kGelu, nullptr},
                                {TileStart::kBias, TileEnd::kAddGelu, nullptr},
                                {TileStart::kBias, TileEnd::kGeluPanel, &fp32_next},
                                {TileStart::kBias, TileEnd::kGeluPanel, nullptr},
                                {TileStart::kBias, TileEnd::kGeluPanel, &next.matrix}}) {
          std::copy(old.begin(), old.end(), c.data());
          gemm(layer.matrix,
               {.a = panel.data(),
                .lda = lda,
                .c = c.data(),
                .ldc = ldc,
                .rows = rows,
                .panel_begin = 0,
                .panel_end = layer.matrix.panels(),
                .scratch = scratch.data(),
                .next = one.next},
               one.start, one.end);
          const std::vector<float>& expected = one.end == TileEnd::kStore ? values : gelu_values;
          const bool quantized = one.end == TileEnd::kGeluPanel && one.next != &fp32_next;
          const Quantization to =
              one.next != nullptr ? next.matrix.quantization() : layer.matrix.quantization();
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t j = 0; j < cols; ++j) {
              float value = expected[r * cols + j];
              const int64_t i = r * ldc + j;
              if (one.start == TileStart::kBiasAccumulate || one.end == TileEnd::kAddGelu) {
                value = old[i] + value;
              }
              if (quantized) {
                const float scaled = std::nearbyint(value * to.inverse_scale);
                const int q = static_cast<int>(
                    std::clamp(scaled + static_cast<float>(to.zero_point), -128.0f, 127.0f));
                ASSERT_EQ(at(kernels(), c.data(), i), q);
              } else {
                ASSERT_TRUE(same_bits(c.data()[i], value))
                    << c.data()[i] << " " << value << ": " << rows << " x " << depth << " x "
                    << cols << ", end " << static_cast<int>(one.end);
              }
            }
          }
        }
      }
    }
  }
}

// The largest sums that fit: 255 * 127 over the greatest depth.
TEST_P(Int8, TheDeepestSumDoesNotOverflow) {
  for (int sign : {1, -1}) {
    const int zero_point = -128 * sign - (sign < 0), q = sign < 0 ? -128 : 127;
    Layer layer(kernels(), 1, kMaxInt8Depth, zero_point, 5);
    std::fill(layer.weight.begin(), layer.weight.end(), static_cast<int8_t>(127));
    Tensor tensor;
    tensor.dtype = DType::kI8;
    tensor.shape = {1, kMaxInt8Depth};
    tensor.bytes = std::as_bytes(std::span(layer.weight));
    layer.matrix.pack_panel(tensor, 0);
    const int64_t padded = layer.matrix.padded_depth();
    AlignedFloats a(padded), c(kernels().tile_cols), scratch(gemm_scratch(kernels(), 1, padded));
    for (int64_t k = 0; k < padded; ++k) put(kernels(), a.data(), k, q);
    gemm(layer.matrix,
         {.a = a.data(),
          .lda = padded,
          .c = c.data(),
          .ldc = kernels().tile_cols,
          .rows = 1,
          .panel_begin = 0,
          .panel_end = 1,
          .scratch = scratch.data()},
         TileStart::kBias, TileEnd::kStore);
    const float sum = static_cast<float>((q - zero_point) * 127 * static_cast<int>(kMaxInt8Depth));
    EXPECT_EQ(c.data()[0], std::fma(sum, layer.scales[0] * Layer::kInputScale, layer.bias[0]));
  }
}

TEST_P(Int8, ElementwiseFunctionsHaveTheBitsOfThePortableSet) {
  for (int64_t n = 0; n <= 139; ++n) {
    const auto x = random_values(n, 20 + n, 3.0f), gamma = random_values(n, 30 + n, 1.0f),
               beta = random_values(n, 40 + n, 1.0f);
    const NormArgs norm{gamma.data(), beta.data(), {40.0f, static_cast<int>(n) - 60}};
    std::vector<float> got(n + 16, 5.0f), expected(n + 16, 5.0f);
    for (const KernelSet* set : {&kernels(), &base()}) {
      set->normalize({x.data(), n, got.data(), n, 1, n}, norm);
      portable_base().normalize({x.data(), n, expected.data(), n, 1, n}, norm);
      for (int64_t i = 0; i < n + 16; ++i) ASSERT_TRUE(same_bits(got[i], expected[i]));
      RowStats a, b;
      set->row_stats(x.data(), n, 1, n, &a);
      portable().row_stats(x.data(), n, 1, n, &b);
      ASSERT_TRUE(same_bits(a.sum, b.sum) && same_bits(a.m2, b.m2)) << n;
    }
    base().normalize_gelu_panel({x.data(), n, got.data(), n, 1, n}, norm);
    portable_base().normalize_gelu_panel({x.data(), n, expected.data(), n, 1, n}, norm);
    for (int64_t i = 0; i < n; ++i) ASSERT_TRUE(same_bits(got[i], expected[i]));
    for (const auto panel : {&KernelSet::normalize_panel, &KernelSet::normalize_gelu_panel}) {
      // In place, and with nothing written behind the end.
      std::copy(x.begin(), x.end(), got.begin());
      std::copy(x.begin(), x.end(), expected.begin());
      std::vector<int> behind;
      for (int64_t i = n; i < 2 * n + 16; ++i) behind.push_back(at(kernels(), got.data(), i));
      (kernels().*panel)({got.data(), n, got.data(), n, 1, n}, norm);
      (portable().*panel)({expected.data(), n, expected.data(), n, 1, n}, norm);
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(at(kernels(), got.data(), i), at(portable(), expected.data(), i)) << n;
      }
      for (int64_t i = n; i < 2 * n + 16; ++i) {
        ASSERT_EQ(at(kernels(), got.data(), i), behind[i - n]) << n;
      }
    }
  }
}

TEST_P(Int8, GeluOfATileHasTheBitsOfThePortableSet) {
  const int cols = kernels().tile_cols, rows = 40;
  std::vector<float> x = random_values(rows * cols, 10, 8.0f), got(x.size()), expected(x.size());
  x[0] = 0, x[1] = -1e30f, x[2] = 1e30f, x[3] = INFINITY, x[4] = 5.6f, x[5] = -5.6f;
  const Quantization to{15.0f, -9};
  const auto tile = [&](void* out) { return TileView{x.data(), cols, out, cols, rows, cols, to}; };
  for (const auto function : {&KernelSet::gelu, &KernelSet::add_gelu}) {
    (base().*function)(tile(got.data()));
    (portable_base().*function)(tile(expected.data()));
    for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same_bits(got[i], expected[i])) << x[i];
  }
  kernels().gelu_panel(tile(got.data()));
  portable().gelu_panel(tile(expected.data()));
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(at(kernels(), got.data(), i), at(portable(), expected.data(), i)) << x[i];
  }
}

// A norm that changes nothing shows the rounding alone: ties, the ends of the range, far beyond it.
TEST_P(Int8, PanelsAreRoundedToNearestEvenAndCut) {
  std::vector<float> x;
  for (int i = -600; i <= 600; ++i) x.push_back(static_cast<float>(i) / 4);
  for (float value : random_values(1000, 50, 40.0f)) x.push_back(value);
  for (float value : {1e9f, -1e9f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN}) x.push_back(value);
  const auto n = static_cast<int64_t>(x.size());
  const std::vector<float> ones(x.size(), 1.0f), zeros(x.size(), 0.0f);
  for (float inverse_scale : {1.0f, 2.0f, 3.7f}) {
    for (int zero_point : {0, 1, -128, 127, -35}) {
      std::vector<float> panel(x.size());
      kernels().normalize_panel({x.data(), n, panel.data(), n, 1, n},
                                {ones.data(), zeros.data(), {inverse_scale, zero_point}});
      for (int64_t i = 0; i < n; ++i) {
        const double rounded = std::nearbyint(double{x[i] * inverse_scale}) + zero_point;
        const int expected =
            std::isnan(x[i]) ? -128 : static_cast<int>(std::clamp(rounded, -128.0, 127.0));
        ASSERT_EQ(at(kernels(), panel.data(), i), expected) << x[i] << " * " << inverse_scale;
      }
      std::vector<float> converted(x.size());
      kernels().convert_panel(x.data(), converted.data(), n, {inverse_scale, zero_point});
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(at(kernels(), converted.data(), i), at(kernels(), panel.data(), i)) << x[i];
      }
    }
  }
}

// The fp32 kernels of what is not quantized: the same bits as the portable ones, also summed in
// parts.
TEST_P(Int8, ProductsThatAreNotQuantizedHaveTheBitsOfThePortableSet) {
  const int64_t depth = 77, cols = 37, rows = 23;
  const auto a = random_values(rows * depth, 5, 1.0f), bias = random_values(cols, 7, 1.0f);
  const Tensor weight = make_tensor({cols, depth}, random_values(cols * depth, 6, 1.0f));
  const auto product = [&](const KernelSet& set, TileEnd end, const PackedMatrix* next) {
    PackedMatrix matrix(set, cols, depth);
    AlignedFloats memory(matrix.bytes() / 4), scratch(gemm_scratch(set, rows, depth));
    matrix.place(reinterpret_cast<std::byte*>(memory.data()));
    for (int64_t panel = 0; panel < matrix.panels(); ++panel) matrix.pack_panel(weight, panel);
    matrix.pack_bias(bias);
    const int64_t ldc = matrix.panels() * set.tile_cols;
    AlignedFloats c(rows * ldc);
    gemm(matrix,
         {.a = a.data(),
          .lda = depth,
          .c = c.data(),
          .ldc = ldc,
          .rows = rows,
          .panel_begin = 0,
          .panel_end = matrix.panels(),
          .scratch = scratch.data(),
          .next = next},
         TileStart::kBias, end);
    std::vector<float> values;
    for (int64_t i = 0; i < rows * cols; ++i) {
      const int64_t at_c = i / cols * ldc + i % cols;
      values.push_back(next == nullptr ? c.data()[at_c]
                                       : static_cast<float>(at(next->kernels(), c.data(), at_c)));
    }
    return values;
  };
  for (TileEnd end : {TileEnd::kStore, TileEnd::kGelu}) {
    EXPECT_EQ(product(base(), end, nullptr), product(portable_base(), end, nullptr));
  }
  const Layer next(kernels(), 1, cols, 11, 1), portable_next(portable(), 1, cols, 11, 1);
  EXPECT_EQ(product(base(), TileEnd::kGeluPanel, &next.matrix),
            product(portable_base(), TileEnd::kGeluPanel, &portable_next.matrix));
}

INSTANTIATE_TEST_SUITE_P(Sets, Int8, testing::ValuesIn(test::int8_sets_under_test()),
                         [](const auto& info) { return test::name_of(*info.param); });

}  // namespace
}  // namespace asmlp::int8_test
