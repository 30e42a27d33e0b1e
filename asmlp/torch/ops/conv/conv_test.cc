#include "asmlp/torch/ops/conv/conv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/core/error.h"
#include "tests/support/gradients.h"

namespace asmlp::nn {
namespace conv_test {

constexpr auto kFp64 = torch::kFloat64;

struct Case {
  int64_t n, in, out, h, w, k;
  bool bias;
  AfterSum after;
};

// Depths of one part and of several (above 1024), tiles with and without rest, one-pixel maps.
const Case kCases[] = {
    {2, 3, 5, 4, 6, 3, true, AfterSum::kRelu},
    {1, 16, 32, 7, 7, 3, false, AfterSum::kNothing},
    {2, 8, 7, 5, 3, 1, true, AfterSum::kNothing},
    {1, 1, 1, 1, 1, 3, true, AfterSum::kRelu},
    {1, 2, 4, 3, 2, 5, true, AfterSum::kRelu},
    {1, 130, 20, 6, 9, 3, true, AfterSum::kRelu},
    {3, 64, 48, 11, 10, 3, true, AfterSum::kNothing},
    {5, 40, 17, 1, 1, 1, true, AfterSum::kRelu},
};

torch::Tensor loss_of(const torch::Tensor& y) {
  return (y * torch::sin(torch::arange(y.numel(), y.options()).view(y.sizes()))).sum();
}

// Values and all gradients against ATen's in double: the error of a sum of products grows with the
// root of their number at most (kept at 8 times that).
TEST(FusedConv, ComputesWhatAtenDoes) {
  for (const auto memory : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    for (const Case& c : kCases) {
      torch::manual_seed(3);
      const auto x = torch::randn({c.n, c.in, c.h, c.w}).contiguous(memory).requires_grad_();
      const auto weight = torch::randn({c.out, c.in, c.k, c.k}).requires_grad_();
      const auto bias = c.bias ? torch::randn({c.out}).requires_grad_() : torch::Tensor();
      std::vector<torch::Tensor> inputs{x, weight}, wide;
      if (c.bias) inputs.push_back(bias);
      for (const auto& input : inputs) wide.push_back(input.detach().to(kFp64).requires_grad_());
      const auto y = fused_conv(x, weight, bias, c.after);
      const auto expected =
          eager_conv(wide[0], wide[1], c.bias ? wide[2] : torch::Tensor(), c.after);
      EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      const auto found = torch::autograd::grad({loss_of(y)}, inputs);
      const auto wanted = torch::autograd::grad({loss_of(expected)}, wide);
      const auto check = [&](const torch::Tensor& a, const torch::Tensor& b, int64_t terms) {
        const double limit = 8 * std::ldexp(1.0, -24) * std::sqrt(static_cast<double>(terms));
        const double largest = b.abs().max().item<double>();
        EXPECT_LE((a.to(kFp64) - b).abs().max().item<double>(), limit * (largest + 4))
            << c.in << " " << c.out << " " << c.k;
      };
      check(y, expected, c.in * c.k * c.k);
      check(found[0], wanted[0], c.out * c.k * c.k);
      for (size_t i = 1; i < inputs.size(); ++i) check(found[i], wanted[i], c.n * c.h * c.w);
    }
  }
}

TEST(FusedConv, GradientsAreFiniteDifferences) {
  torch::manual_seed(5);
  const auto x = torch::randn({2, 3, 4, 5}, kFp64), weight = torch::randn({4, 3, 3, 3}, kFp64);
  const auto bias = torch::randn({4}, kFp64);
  for (const AfterSum after : {AfterSum::kNothing, AfterSum::kRelu}) {
    EXPECT_LT(gradient_error([&](const auto& v) { return fused_conv(v, weight, bias, after); }, x),
              1e-7);
    EXPECT_LT(gradient_error([&](const auto& v) { return fused_conv(x, v, bias, after); }, weight),
              1e-7);
    EXPECT_LT(gradient_error([&](const auto& v) { return fused_conv(x, weight, v, after); }, bias),
              1e-7);
  }
}

// Where few rows of the incoming gradient are not zero, the others are left out.
TEST(FusedConv, GradientsOfFewRowsAreThoseOfAll) {
  for (const int64_t in : {8, 130}) {
    torch::manual_seed(7);
    const auto x = torch::randn({2, in, 20, 30}, kFp64).requires_grad_();
    const auto weight = torch::randn({6, in, 3, 3}, kFp64).requires_grad_();
    const auto bias = torch::randn({6}, kFp64).requires_grad_();
    auto d = torch::zeros({2, 6, 20, 30}, kFp64);
    for (const auto [n, y, x_at] : {std::array{0, 0, 0}, {0, 7, 29}, {1, 19, 12}, {1, 19, 13}}) {
      d.index_put_({n, torch::indexing::Slice(), y, x_at}, torch::randn({6}, kFp64));
    }
    for (const AfterSum after : {AfterSum::kNothing, AfterSum::kRelu}) {
      const auto found =
          torch::autograd::grad({fused_conv(x, weight, bias, after)}, {x, weight, bias}, {d});
      const auto wanted =
          torch::autograd::grad({eager_conv(x, weight, bias, after)}, {x, weight, bias}, {d});
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_TRUE(torch::allclose(found[i], wanted[i], 1e-12, 1e-12)) << in << " " << i;
      }
    }
    const auto none = torch::autograd::grad({fused_conv(x, weight, bias)}, {x, weight, bias},
                                            {torch::zeros_like(d)});
    for (const auto& gradient : none) EXPECT_EQ(gradient.abs().max().item<double>(), 0);
  }
}

TEST(FusedConv, DifferentiatesTwice) {
  torch::manual_seed(6);
  const auto x = torch::randn({1, 2, 3, 4}, kFp64), weight = torch::randn({3, 2, 3, 3}, kFp64);
  const auto gradient_of = [&](const torch::Tensor& v) {
    const auto y = fused_conv(v * v, weight, {}, AfterSum::kRelu);
    return torch::autograd::grad({(y * y).sum()}, {v}, {}, true, true)[0];
  };
  EXPECT_LT(gradient_error(gradient_of, x), 1e-7);
}

TEST(FusedConv, TakesNoImageAndRefusesWhatDoesNotFit) {
  const auto weight = torch::randn({4, 3, 3, 3}).requires_grad_();
  const auto y = fused_conv(torch::zeros({0, 3, 5, 5}), weight, {});
  EXPECT_EQ(y.sizes(), torch::IntArrayRef({0, 4, 5, 5}));
  y.sum().backward();
  EXPECT_EQ(weight.grad().abs().sum().item<float>(), 0);
  EXPECT_THROW(fused_conv(torch::zeros({1, 2, 5, 5}), weight, {}), Error);
  EXPECT_THROW(fused_conv(torch::zeros({1, 3, 5, 5}), torch::zeros({4, 3, 2, 2}), {}), Error);
  EXPECT_THROW(fused_conv(torch::zeros({1, 3, 5, 5}), weight, torch::zeros({3})), Error);
}

TEST(FusedConv, KeepsOtherTypes) {
  const auto x = torch::randn({1, 3, 4, 4}), weight = torch::randn({2, 3, 3, 3});
  const auto y = fused_conv(x.to(torch::kBFloat16), weight.to(torch::kBFloat16), {});
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(torch::allclose(y.to(torch::kFloat), eager_conv(x, weight, {}, AfterSum::kNothing),
                              0.1, 0.1));
}

TEST(FusedDense, IsALinearLayer) {
  torch::manual_seed(8);
  const auto x = torch::randn({9, 70}, kFp64), weight = torch::randn({11, 70}, kFp64);
  const auto bias = torch::randn({11}, kFp64);
  EXPECT_TRUE(torch::allclose(fused_dense(x, weight, bias, AfterSum::kRelu),
                              torch::relu(torch::linear(x, weight, bias)), 1e-12, 1e-12));
  EXPECT_EQ(fused_dense(x.slice(0, 0, 0), weight, bias).sizes(), torch::IntArrayRef({0, 11}));
  EXPECT_LT(gradient_error([&](const auto& v) { return fused_dense(v, weight, bias); }, x), 1e-7);
}

TEST(UpsampledConv, ComputesWhatAtenDoes) {
  torch::manual_seed(9);
  const auto x = torch::randn({2, 5, 3, 4}, kFp64), up = torch::randn({5, 6, 2, 2}, kFp64);
  const auto up_bias = torch::randn({6}, kFp64), weight = torch::randn({3, 6, 1, 1}, kFp64);
  const auto bias = torch::randn({3}, kFp64);
  const auto eager =
      torch::conv2d(torch::relu(torch::conv_transpose2d(x, up, up_bias, 2)), weight, bias);
  const auto found = upsampled_conv(x, up, up_bias, weight, bias);
  EXPECT_TRUE(torch::allclose(found, eager, 1e-12, 1e-12));
  EXPECT_LT(gradient_error(
                [&](const auto& v) { return upsampled_conv(v, up, up_bias, weight, bias); }, x),
            1e-7);
  EXPECT_LT(gradient_error(
                [&](const auto& v) { return upsampled_conv(x, v, up_bias, weight, bias); }, up),
            1e-7);
  EXPECT_EQ(upsampled_conv(x.slice(0, 0, 0), up, up_bias, weight, bias).sizes(),
            torch::IntArrayRef({0, 3, 6, 8}));
  EXPECT_THROW(upsampled_conv(x, weight, up_bias, weight, bias), Error);
}

}  // namespace conv_test
}  // namespace asmlp::nn
