#include "asmlp/torch/nn/functional.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/gradcheck.h"

namespace asmlp::nn {
namespace {

constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu};

// A GELU of the kernels is off by 3e-7 |z| in fp32 (kernels.h); sums of n terms add n eps.
double tolerance(torch::ScalarType type) { return type == torch::kFloat64 ? 1e-12 : 1e-5; }

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>() / std::max(1.0, b.abs().max().item<double>());
}

// Kernel and composed form agree in value and in every gradient.
template <typename Kernel, typename Composed>
void expect_same(const Kernel& kernel, const Composed& composed,
                 const std::vector<torch::Tensor>& inputs, const std::string& what) {
  const auto type = inputs[0].scalar_type();
  const auto y = kernel();
  const auto expected = composed();
  EXPECT_LT(difference(y, expected), tolerance(type)) << what;
  {
    torch::NoGradGuard no_grad;
    EXPECT_TRUE(kernel().equal(y)) << what << ": the forward without gradients differs";
  }
  const auto dy = torch::randn_like(y);
  const auto gradients = torch::autograd::grad({y}, inputs, {dy});
  const auto references = torch::autograd::grad({expected}, inputs, {dy});
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_LT(difference(gradients[i], references[i]), 3 * tolerance(type))
        << what << " input " << i;
  }
}

TEST(Linear, KernelEqualsTheComposedForm) {
  std::mt19937 random(31);
  torch::manual_seed(31);
  for (int i = 0; i < 60; ++i) {
    const auto type = i % 2 ? torch::kFloat32 : torch::kFloat64;
    const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
    const int64_t in = size(50), out = size(50);
    // Up to a few thousand rows: several blocks and several slices.
    auto x = torch::randn({size(i % 3 ? 3 : 300), size(7), in}, type);
    if (i % 4 == 0) x = x.transpose(0, 1);
    x.requires_grad_();
    const auto weight = (torch::randn({out, in}, type) / std::sqrt(in)).requires_grad_();
    const auto bias = i % 5 ? torch::randn({out}, type).requires_grad_() : torch::Tensor();
    std::vector<torch::Tensor> inputs{x, weight};
    if (bias.defined()) inputs.push_back(bias);
    for (Activation activation : kActivations) {
      expect_same([&] { return fused_linear(x, weight, bias, activation); },
                  [&] { return composed_linear(x, weight, bias, activation); }, inputs,
                  "case " + std::to_string(i));
    }
  }
}

TEST(Linear, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(fused_linear(torch::randn({2, 3}), torch::randn({4, 5}), {}), Error);
  EXPECT_THROW(fused_linear(torch::randn({2, 3}), torch::randn({4, 3}), torch::randn({3})), Error);
  EXPECT_THROW(fused_linear(torch::randn({2, 3}), torch::randn({4, 3, 2, 2}), {}), Error);
}

TEST(GroupNorm, KernelEqualsTheComposedForm) {
  std::mt19937 random(32);
  torch::manual_seed(32);
  for (int i = 0; i < 60; ++i) {
    const auto type = i % 2 ? torch::kFloat32 : torch::kFloat64;
    const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
    const int64_t channels = size(40) + 1;  // one value alone has no variance
    // A mean far from zero: a one-pass variance would lose its digits.
    auto x = torch::randn({size(5), size(9), size(9), channels}, type) * 2 + 10;
    if (i % 4 == 0) x = x.transpose(1, 2);
    x.requires_grad_();
    const auto weight = torch::randn({channels}, type).requires_grad_();
    const auto bias = torch::randn({channels}, type).requires_grad_();
    for (Activation activation : kActivations) {
      expect_same([&] { return fused_group_norm(x, weight, bias, activation); },
                  [&] { return composed_group_norm(x, weight, bias, activation); },
                  {x, weight, bias}, "case " + std::to_string(i));
    }
  }
}

// And the composed form is torch's GroupNorm of one group.
TEST(GroupNorm, IsTorchsGroupNorm) {
  const auto x = torch::randn({3, 5, 4, 6}, torch::kFloat64);
  const auto weight = torch::randn({6}, torch::kFloat64), bias = torch::randn({6}, torch::kFloat64);
  const auto expected =
      torch::group_norm(x.permute({0, 3, 1, 2}).contiguous(), 1, weight, bias, 1e-5)
          .permute({0, 2, 3, 1});
  EXPECT_LT(difference(fused_group_norm(x, weight, bias), expected), 1e-6);  // kNormEps is a float
}

TEST(Functional, DifferentiatesTwice) {
  torch::manual_seed(33);
  const auto weight = torch::randn({3, 4}, torch::kFloat64),
             bias = torch::randn({3}, torch::kFloat64);
  const auto gamma = torch::randn({4}, torch::kFloat64), beta = torch::randn({4}, torch::kFloat64);
  const auto x = torch::randn({2, 2, 3, 4}, torch::kFloat64);
  for (Activation activation : kActivations) {
    const auto first_gradient = [&](const auto& f) {
      return [f](const torch::Tensor& t) {
        return torch::autograd::grad({f(t).pow(3).sum()}, {t}, {}, true, true)[0];
      };
    };
    const auto projection = [&](const torch::Tensor& t) {
      return fused_linear(t, weight, bias, activation);
    };
    const auto norm = [&](const torch::Tensor& t) {
      return fused_group_norm(t, gamma, beta, activation);
    };
    EXPECT_LT(gradient_error(projection, x), 1e-7);
    EXPECT_LT(gradient_error(norm, x), 1e-7);
    EXPECT_LT(gradient_error(first_gradient(projection), x), 1e-6);
    EXPECT_LT(gradient_error(first_gradient(norm), x), 1e-6);
  }
}

// Only fp32 and fp64 have kernels; other types still work.
TEST(Functional, OtherTypesTakeTheComposedForm) {
  const auto x = torch::randn({2, 3, 3, 8}), weight = torch::randn({4, 8}),
             bias = torch::randn({4});
  const auto gamma = torch::randn({8}), beta = torch::randn({8});
  const auto half = [](const torch::Tensor& t) { return t.to(torch::kBFloat16); };
  EXPECT_LT(
      difference(
          fused_linear(half(x), half(weight), half(bias), Activation::kGelu).to(torch::kFloat),
          fused_linear(x, weight, bias, Activation::kGelu)),
      0.05);
  EXPECT_LT(difference(fused_group_norm(half(x), half(gamma), half(beta)).to(torch::kFloat),
                       fused_group_norm(x, gamma, beta)),
            0.05);
}

}  // namespace
}  // namespace asmlp::nn
