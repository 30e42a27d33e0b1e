// Training's bf16 products on AMX tiles, which asmlp/kernels/amx_emulation.h computes on any
// machine.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "asmlp/core/tensor.h"
#include "asmlp/kernels/kernels.h"
#include "asmlp/torch/kernels/bf16_gemm.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn::bf16_training_test {
namespace {

class Bf16Training : public testing::Test {
 protected:
  void SetUp() override { use_bf16_panel_kernels(&avx512_amx_kernels(Precision::kBf16)); }
  void TearDown() override { use_bf16_panel_kernels(before_); }

 private:
  const KernelSet* before_ = bf16_panel_kernels();
};

std::vector<Bf16> random_bf16(std::mt19937& random, int64_t count) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Bf16> values(static_cast<size_t>(count));
  for (Bf16& value : values) value = {f32_to_bf16(uniform(random))};
  return values;
}
std::vector<float> random_floats(std::mt19937& random, int64_t count) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(random);
  return values;
}
double value_of(Bf16 x) { return bf16_to_f32(x.bits); }
double value_of(float x) { return bf16_to_f32(f32_to_bf16(x)); }

// Products of bf16 numbers are exact in fp32; their sums round.
double sum_bound(int64_t depth) { return 2 * static_cast<double>(depth + 2) * std::ldexp(1, -24); }

TEST_F(Bf16Training, RightFactorEqualsTheSums) {
  std::mt19937 random(71);
  const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = size(70), depth = i % 4 ? size(100) : 32 * size(4);
    const int64_t cols = i % 5 ? size(100) : 32 * size(3), lda = depth + random() % 3;
    const bool transposed = i % 2, add = i % 3 == 0, biased = i % 7 != 0;
    const auto a = random_bf16(random, rows * lda);
    const auto b = random_floats(random, depth * cols), bias = random_floats(random, cols);
    const auto old = random_floats(random, rows * cols);
    PackedWeights<Bf16> factor(b.data(), depth, cols, transposed, biased ? bias.data() : nullptr);
    factor.pack(0, factor.panels());
    auto c = old;
    factor.multiply(a.data(), lda, rows, c.data(), add);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < cols; ++j) {
        double sum = add ? old[r * cols + j] : biased ? bias[j] : 0;
        for (int64_t k = 0; k < depth; ++k) {
          sum +=
              value_of(a[r * lda + k]) * value_of(transposed ? b[j * depth + k] : b[k * cols + j]);
        }
        ASSERT_NEAR(c[r * cols + j], sum, sum_bound(depth)) << i << " " << r << " " << j;
      }
    }
  }
}

TEST_F(Bf16Training, TransposedEqualsTheSums) {
  std::mt19937 random(72);
  const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = size(70), depth = size(i % 8 ? 70 : 400), cols = size(100);
    const int64_t lda = rows + random() % 3, ldb = cols + random() % 3, ldc = cols + random() % 3;
    const bool add = i % 2;
    const auto a = random_bf16(random, (depth - 1) * lda + rows);
    const auto b = random_bf16(random, (depth - 1) * ldb + cols);
    const auto old = random_floats(random, rows * ldc);
    auto c = old;
    multiply_transposed(a.data(), lda, b.data(), ldb, depth, rows, cols, c.data(), ldc, add);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < ldc; ++j) {
        double sum = add || j >= cols ? old[r * ldc + j] : 0;
        for (int64_t k = 0; j < cols && k < depth; ++k) {
          sum += value_of(a[k * lda + r]) * value_of(b[k * ldb + j]);
        }
        ASSERT_NEAR(c[r * ldc + j], sum, sum_bound(depth)) << i << " " << r << " " << j;
      }
    }
  }
}

// Blocks under autocast give on tiles what they give on widened rows, to the rounding of bf16: the
// products are of the same numbers.
TEST_F(Bf16Training, BlocksOnTilesEqualThoseOnWidenedRows) {
  torch::manual_seed(73);
  for (int64_t channels : {32, 40}) {
    const auto projection = [](int64_t in, int64_t out) {
      return Projection{(torch::randn({out, in}) / std::sqrt(in)).requires_grad_(),
                        torch::randn({out}).requires_grad_()};
    };
    const auto norm = [&] {
      return Projection{torch::randn({channels}).requires_grad_(),
                        torch::randn({channels}).requires_grad_()};
    };
    const auto own = [&] { return projection(channels, channels); };
    const ShiftBlock block{norm(),
                           own(),
                           norm(),
                           own(),
                           own(),
                           norm(),
                           own(),
                           {Axis::kWidth, 5, 1, Padding::kZero},
                           {Axis::kHeight, 5, 1, Padding::kZero}};
    const auto first = projection(channels, 3 * channels),
               second = projection(3 * channels, channels);
    const auto x = torch::randn({3, 9, 8, channels}).requires_grad_();
    const auto scale = torch::tensor({1.25f, 0.0f, 1.25f});
    const auto run = [&] {
      torch::Tensor y;
      {
        const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
        const FeatureMap map = fused_shift_block({x, {}}, block, scale);
        y = fused_linear(fused_mlp_block(map, block.norm2, first, second, {}).x, block.conv1.weight,
                         block.conv1.bias, Activation::kGelu);
      }
      auto results = torch::autograd::grad(
          {y.to(torch::kFloat).square().mean()},
          {x, block.norm.weight, block.conv1.weight, block.conv2_1.weight, block.conv2_2.bias,
           block.norm1.bias, block.conv3.weight, first.weight, second.weight, second.bias});
      results.push_back(y.detach().to(torch::kFloat));
      return results;
    };
    const auto tiles = run();
    use_bf16_panel_kernels(nullptr);
    const auto widened = run();
    use_bf16_panel_kernels(&avx512_amx_kernels(Precision::kBf16));
    for (size_t i = 0; i < tiles.size(); ++i) {
      const double error = ((tiles[i] - widened[i]).norm() / widened[i].norm()).item<double>();
      EXPECT_LT(error, 8 * std::ldexp(1, -8)) << channels << " " << i;
      EXPECT_GT(error, 0) << channels << " " << i << ": the same path was taken twice";
    }
  }
}

}  // namespace
}  // namespace asmlp::nn::bf16_training_test
