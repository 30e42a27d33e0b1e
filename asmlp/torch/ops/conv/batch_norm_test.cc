#include "asmlp/torch/ops/conv/batch_norm.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "tests/support/gradients.h"

namespace asmlp::nn {
namespace batch_norm_test {

constexpr double kEps = 1e-5;

RunningMoments fresh(int64_t channels, torch::ScalarType type = torch::kFloat64) {
  return {torch::zeros({channels}, type), torch::ones({channels}, type), 0.1};
}

// Rows in fours and the rest, several slices; in fp32 a far mean loses nothing of the variance.
TEST(FusedBatchNorm, ComputesWhatAtenDoes) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    for (const int64_t side : {1, 5, 40}) {
      torch::manual_seed(2);
      const auto x = (torch::randn({3, 19, side, side + 1}, type) * 2 + 1).requires_grad_();
      const auto weight = torch::randn({19}, type).requires_grad_();
      const auto bias = torch::randn({19}, type).requires_grad_();
      const auto d = torch::randn(x.sizes(), type);
      for (const AfterSum after : {AfterSum::kNothing, AfterSum::kRelu}) {
        const RunningMoments a = fresh(19, type), b = fresh(19, type);
        const auto y = fused_batch_norm(x, weight, bias, a, kEps, after, nullptr);
        auto eager = torch::batch_norm(x, weight, bias, b.mean, b.var, true, 0.1, kEps, false);
        if (after == AfterSum::kRelu) eager = torch::relu(eager);
        const auto found = torch::autograd::grad({y}, {x, weight, bias}, {d});
        const auto wanted = torch::autograd::grad({eager}, {x, weight, bias}, {d});
        const double limit = type == torch::kFloat32 ? 2e-4 : 1e-10;
        EXPECT_TRUE(torch::allclose(y, eager, limit, limit));
        EXPECT_TRUE(torch::allclose(a.mean, b.mean, limit, limit));
        EXPECT_TRUE(torch::allclose(a.var, b.var, limit, limit));
        for (size_t i = 0; i < 3; ++i) {
          EXPECT_TRUE(torch::allclose(found[i], wanted[i], limit, limit)) << side << " " << i;
        }
      }
    }
  }
}

TEST(FusedBatchNorm, GradientsAreFiniteDifferences) {
  torch::manual_seed(4);
  const auto x = torch::randn({2, 3, 4, 5}, torch::kFloat64);
  const auto weight = torch::randn({3}, torch::kFloat64), bias = torch::randn({3}, torch::kFloat64);
  for (const AfterSum after : {AfterSum::kNothing, AfterSum::kRelu}) {
    const auto norm = [&](const torch::Tensor& v, const torch::Tensor& w, const torch::Tensor& b) {
      return fused_batch_norm(v, w, b, fresh(3), kEps, after, nullptr);
    };
    EXPECT_LT(gradient_error([&](const auto& v) { return norm(v, weight, bias); }, x), 1e-7);
    EXPECT_LT(gradient_error([&](const auto& v) { return norm(x, v, bias); }, weight), 1e-7);
    EXPECT_LT(gradient_error([&](const auto& v) { return norm(x, weight, v); }, bias), 1e-7);
  }
}

TEST(FusedBatchNorm, DifferentiatesTwiceInOneProcess) {
  torch::manual_seed(5);
  const auto x = torch::randn({2, 2, 2, 3}, torch::kFloat64);
  const auto weight = torch::randn({2}, torch::kFloat64), bias = torch::randn({2}, torch::kFloat64);
  const auto gradient_of = [&](const torch::Tensor& v) {
    const auto y = fused_batch_norm(v, weight, bias, fresh(2), kEps, AfterSum::kRelu, nullptr);
    return torch::autograd::grad({(y * y * y).sum()}, {v}, {}, true, true)[0];
  };
  EXPECT_LT(gradient_error(gradient_of, x), 1e-6);
}

TEST(FusedBatchNorm, NeedsTwoValuesPerChannel) {
  const auto one = torch::ones({3});
  EXPECT_THROW(fused_batch_norm(torch::zeros({1, 3, 1, 1}), one, one, fresh(3, torch::kFloat32),
                                kEps, AfterSum::kNothing, nullptr),
               Error);
}

}  // namespace batch_norm_test
}  // namespace asmlp::nn
