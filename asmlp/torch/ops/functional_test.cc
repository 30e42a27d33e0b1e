#include "asmlp/torch/ops/functional.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/model/config.h"
#include "asmlp/torch/ops/autocast.h"
#include "tests/support/gradients.h"

namespace asmlp::nn::functional_test {
namespace {

constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu};

// A GELU of the kernels is off by 3e-7 |z| in fp32 (kernels.h); sums of n terms add n eps.
double tolerance(torch::ScalarType type) { return type == torch::kFloat64 ? 1e-12 : 1e-5; }

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>() / std::max(1.0, b.abs().max().item<double>());
}

// Kernel and eager form agree in value and in every gradient.
template <typename Kernel, typename Eager>
void expect_same(const Kernel& kernel, const Eager& eager, const std::vector<torch::Tensor>& inputs,
                 const std::string& what) {
  const auto type = inputs[0].scalar_type();
  const auto y = kernel();
  const auto expected = eager();
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
                  [&] { return eager_linear(x, weight, bias, activation); }, inputs,
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
                  [&] { return eager_group_norm(x, weight, bias, activation); }, {x, weight, bias},
                  "case " + std::to_string(i));
    }
  }
}

// And the eager form is torch's GroupNorm of one group.
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

Projection random_projection(int64_t in, int64_t out, at::ScalarType type, bool bias = true) {
  return {(torch::randn({out, in, 1, 1}, type) / std::sqrt(in)).requires_grad_(),
          bias ? torch::randn({out}, type).requires_grad_() : torch::Tensor()};
}

TEST(FusedMlp, KernelEqualsTheComposedForm) {
  std::mt19937 random(34);
  torch::manual_seed(34);
  for (int i = 0; i < 30; ++i) {
    const auto type = i % 2 ? torch::kFloat32 : torch::kFloat64;
    const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
    const int64_t in = size(40), hidden = size(90), out = size(40);
    auto x = torch::randn({size(i % 3 ? 3 : 200), size(7), in}, type);
    if (i % 4 == 0) x = x.transpose(0, 1);
    x.requires_grad_();
    const auto first = random_projection(in, hidden, type, i % 5 != 0);
    const auto second = random_projection(hidden, out, type, i % 7 != 0);
    std::vector<torch::Tensor> inputs{x};
    for (const auto& p : {first.weight, first.bias, second.weight, second.bias}) {
      if (p.defined()) inputs.push_back(p);
    }
    expect_same([&] { return fused_mlp(x, first, second); },
                [&] { return eager_mlp(x, first, second); }, inputs, "case " + std::to_string(i));
  }
}

Projection random_norm(int64_t channels, at::ScalarType type) {
  return {torch::randn({channels}, type).requires_grad_(),
          torch::randn({channels}, type).requires_grad_()};
}

AxialShift random_shift(std::mt19937& random, Axis axis) {
  return {axis, 1 + static_cast<int>(random() % 7), 1 + static_cast<int>(random() % 3),
          static_cast<Padding>(random() % 4)};
}

ShiftBlock random_block(std::mt19937& random, int64_t channels, at::ScalarType type) {
  const auto projection = [&] {
    return random_projection(channels, channels, type, random() % 6 != 0);
  };
  return {random_norm(channels, type),
          projection(),
          random_norm(channels, type),
          projection(),
          projection(),
          random_norm(channels, type),
          projection(),
          random_shift(random, Axis::kWidth),
          random_shift(random, Axis::kHeight)};
}

std::vector<torch::Tensor> inputs_of(const torch::Tensor& x,
                                     std::initializer_list<Projection> projections) {
  std::vector<torch::Tensor> inputs{x};
  for (const Projection& projection : projections) {
    inputs.push_back(projection.weight);
    if (projection.bias.defined()) inputs.push_back(projection.bias);
  }
  return inputs;
}
std::vector<torch::Tensor> inputs_of(const torch::Tensor& x, const ShiftBlock& b) {
  return inputs_of(x, {b.norm, b.conv1, b.norm1, b.conv2_1, b.conv2_2, b.norm2, b.conv3});
}

// Factors of which some are 0: their samples are not computed.
torch::Tensor random_factors(int64_t samples, at::ScalarType type) {
  return torch::rand({samples}, type) * (torch::rand({samples}, type) < 0.7);
}

// The moments that come with a map are those of its samples.
void expect_moments(const FeatureMap& map, const std::string& what) {
  const auto flat = map.x.detach().flatten(1);
  const auto mean = flat.mean(1), scale = (flat.var(1, /*unbiased=*/false) + kNormEps).rsqrt();
  EXPECT_LT(difference(map.moments, torch::stack({mean, scale}, 1)), tolerance(mean.scalar_type()))
      << what;
}

// Sizes at which samples fill groups, blocks and segments in every way.
torch::Tensor random_map(std::mt19937& random, int64_t channels, int i, at::ScalarType type) {
  const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
  auto x = torch::randn({size(i % 3 ? 5 : 9), size(i % 3 ? 6 : 30), 1 + size(12), channels}, type);
  if (i % 4 == 0) x = x.transpose(1, 2);
  return x.requires_grad_();
}

TEST(ShiftBlock, KernelEqualsTheComposedForm) {
  std::mt19937 random(35);
  torch::manual_seed(35);
  for (int i = 0; i < 60; ++i) {
    const auto type = i % 2 ? torch::kFloat32 : torch::kFloat64;
    const int64_t channels = 2 + random() % 40;
    const auto x = random_map(random, channels, i, type);
    const ShiftBlock block = random_block(random, channels, type);
    const auto scale = i % 3 ? random_factors(x.size(0), type) : torch::Tensor();
    expect_same(
        [&] {
          return fused_shift_block({x, {}}, block, scale).x;
        },
        [&] { return eager_shift_block(x, block, scale); }, inputs_of(x, block),
        "case " + std::to_string(i));
    expect_moments(fused_shift_block({x, {}}, block, scale), "case " + std::to_string(i));
  }
}

TEST(MlpBlock, KernelEqualsTheComposedForm) {
  std::mt19937 random(36);
  torch::manual_seed(36);
  for (int i = 0; i < 60; ++i) {
    const auto type = i % 2 ? torch::kFloat32 : torch::kFloat64;
    const int64_t channels = 2 + random() % 40, hidden = 1 + random() % 90;
    const auto x = random_map(random, channels, i, type);
    const auto norm = random_norm(channels, type);
    const auto first = random_projection(channels, hidden, type, i % 5 != 0);
    const auto second = random_projection(hidden, channels, type, i % 7 != 0);
    const auto scale = i % 3 ? random_factors(x.size(0), type) : torch::Tensor();
    expect_same(
        [&] {
          return fused_mlp_block({x, {}}, norm, first, second, scale).x;
        },
        [&] { return eager_mlp_block(x, norm, first, second, scale); },
        inputs_of(x, {norm, first, second}), "case " + std::to_string(i));
    expect_moments(fused_mlp_block({x, {}}, norm, first, second, scale),
                   "case " + std::to_string(i));
  }
}

// Moments that came with a map are not computed again, and give the same.
TEST(MlpBlock, TakesTheMomentsOfTheBlockBefore) {
  std::mt19937 random(41);
  torch::manual_seed(41);
  const auto x = torch::randn({3, 9, 7, 12});
  const ShiftBlock block = random_block(random, 12, torch::kFloat);
  const auto first = random_projection(12, 20, torch::kFloat);
  const auto second = random_projection(20, 12, torch::kFloat);
  const FeatureMap map = fused_shift_block({x, {}}, block, {});
  const auto with = fused_mlp_block(map, block.norm2, first, second, {}).x;
  const auto without = fused_mlp_block({map.x, {}}, block.norm2, first, second, {}).x;
  EXPECT_TRUE(with.equal(without));
}

// A block around its norm: the fork's two gradients meet, and samples have factors of their own.
TEST(ForkedNorm, BlockEqualsTheComposedForm) {
  std::mt19937 random(36);
  torch::manual_seed(36);
  for (int i = 0; i < 30; ++i) {
    const auto type = i % 2 ? torch::kFloat32 : torch::kFloat64;
    const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
    const int64_t channels = 1 + size(40);
    const auto x = torch::randn({size(5), size(9), size(9), channels}, type).requires_grad_();
    const auto weight = torch::randn({channels}, type).requires_grad_();
    const auto bias = torch::randn({channels}, type).requires_grad_();
    const auto scale = i % 3 ? torch::rand({x.size(0)}, type) : torch::Tensor();
    expect_same(
        [&] {
          const auto fork = fork_group_norm(x, weight, bias);
          return fused_add(fork.x, torch::gelu(fork.normal), scale);
        },
        [&] {
          const auto branch = eager_group_norm(x, weight, bias, Activation::kGelu);
          return scale.defined() ? x + branch * scale.view({-1, 1, 1, 1}) : x + branch;
        },
        {x, weight, bias}, "case " + std::to_string(i));
  }
}

TEST(Functional, RefusesShapesThatDoNotFit) {
  const auto x = torch::randn({2, 3, 3, 4});
  const auto to4 = random_projection(4, 4, torch::kFloat),
             to5 = random_projection(4, 5, torch::kFloat);
  EXPECT_THROW(fused_mlp(x, to5, to4), Error);
  const auto norm4 = random_norm(4, torch::kFloat), norm5 = random_norm(5, torch::kFloat);
  const ShiftBlock block{norm4, to4, norm4, to4, to4, norm4, to4, {}, {}};
  ShiftBlock wrong = block;
  wrong.conv2_2 = to5;
  EXPECT_THROW(fused_shift_block({x, {}}, wrong, {}), Error);
  wrong = block;
  wrong.norm1 = norm5;
  EXPECT_THROW(fused_shift_block({x, {}}, wrong, {}), Error);
  EXPECT_THROW(fused_shift_block({x[0], {}}, block, {}), Error);
  EXPECT_THROW(fused_shift_block({x, {}}, block, torch::ones({3})), Error);
  EXPECT_THROW(fused_mlp_block({x, {}}, norm4, to4, to5, {}), Error);
  EXPECT_THROW(fused_mlp_block({x, {}}, norm5, to4, to4, {}), Error);
  EXPECT_THROW(fused_add(x, x[0], {}), Error);
  EXPECT_THROW(fused_add(x, x, torch::ones({3})), Error);
}

TEST(Functional, BlocksDifferentiateTwice) {
  std::mt19937 random(37);
  torch::manual_seed(37);
  const auto first = random_projection(4, 5, torch::kFloat64);
  const auto second = random_projection(5, 4, torch::kFloat64);
  const ShiftBlock block = random_block(random, 4, torch::kFloat64);
  const auto gamma = torch::randn({4}, torch::kFloat64), beta = torch::randn({4}, torch::kFloat64);
  const auto scale = torch::tensor({0.75, 0.0}, torch::kFloat64);
  const auto x = torch::randn({2, 2, 3, 4}, torch::kFloat64);
  const std::function<torch::Tensor(const torch::Tensor&)> functions[] = {
      [&](const torch::Tensor& t) { return fused_mlp(t, first, second); },
      [&](const torch::Tensor& t) {
        return fused_shift_block({t, {}}, block, scale).x;
      },
      [&](const torch::Tensor& t) {
        return fused_mlp_block({t, {}}, block.norm, first, second, scale).x;
      },
      [&](const torch::Tensor& t) {
        const auto fork = fork_group_norm(t, gamma, beta);
        return fused_add(fork.x, fork.normal.pow(2), scale);
      }};
  for (const auto& f : functions) {
    EXPECT_LT(gradient_error(f, x), 1e-7);
    const auto gradient = [&](const torch::Tensor& t) {
      return torch::autograd::grad({f(t).pow(3).sum()}, {t}, {}, true, true)[0];
    };
    EXPECT_LT(gradient_error(gradient, x), 1e-6);
  }
}

// Rows do not depend on how they are spread, nor do the sums of norms: the output and the input's
// gradient are the same bits for any number of threads.
TEST(Functional, SameBitsForAnyNumberOfThreads) {
  std::mt19937 random(38);
  torch::manual_seed(38);
  const int before = at::get_num_threads();
  const ShiftBlock block = random_block(random, 24, torch::kFloat);
  const auto first = random_projection(24, 50, torch::kFloat);
  const auto second = random_projection(50, 24, torch::kFloat);
  for (int64_t samples : {1, 3, 8, 13}) {
    const auto x = torch::randn({samples, 17, 19, 24}).requires_grad_();
    const auto scale = random_factors(samples, torch::kFloat);
    const auto run = [&](int threads) {
      at::set_num_threads(threads);
      const auto fork = fork_group_norm(x, block.norm.weight, block.norm.bias);
      const FeatureMap map =
          fused_shift_block({fused_add(fork.x, fork.normal, scale), {}}, block, scale);
      const auto y =
          fused_mlp(fused_mlp_block(map, block.norm1, first, second, scale).x, first, second);
      return std::pair(y.detach(), torch::autograd::grad({y.square().sum()}, {x})[0]);
    };
    const auto [y, dx] = run(1);
    for (int threads : {2, 3, 5}) {
      const auto [other, other_dx] = run(threads);
      EXPECT_TRUE(other.equal(y)) << samples << " " << threads;
      EXPECT_TRUE(other_dx.equal(dx)) << samples << " " << threads;
    }
  }
  at::set_num_threads(before);
}

// Feature maps in bf16 (7 bits after the leading one), parameters and statistics in fp32: each
// stored result is off by at most 2^-8 of itself, gradients by the two roundings on their way.
TEST(Functional, Bf16MapsGiveTheFp32ResultRounded) {
  torch::manual_seed(39);
  for (Activation activation : kActivations) {
    const auto x = torch::randn({3, 7, 5, 21}).to(torch::kBFloat16);
    const auto gamma = torch::randn({21}).requires_grad_(),
               beta = torch::randn({21}).requires_grad_();
    const auto dy = torch::randn(x.sizes()).to(torch::kBFloat16);
    const auto run = [&](const torch::Tensor& in) {
      const auto leaf = in.detach().clone().requires_grad_();
      const auto fork = fork_group_norm(leaf, gamma, beta);
      const auto y = fused_add(fork.x, fused_group_norm(fork.normal, gamma, beta, activation),
                               torch::tensor({1.0f, 0.5f, 0.0f}));
      EXPECT_EQ(y.scalar_type(), in.scalar_type());
      auto all = torch::autograd::grad({y}, {leaf, gamma, beta}, {dy.to(in.scalar_type())});
      all.push_back(y.detach());
      return all;
    };
    const auto expected = run(x.to(torch::kFloat)), found = run(x);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_LT(difference(found[i].to(torch::kFloat), expected[i]), 6 * std::ldexp(1, -8)) << i;
    }
  }
}

// Under autocast products are of bf16 numbers with fp32 sums; parameters and their gradients are
// fp32.
TEST(Functional, AutocastComputesInBf16) {
  std::mt19937 random(40);
  torch::manual_seed(40);
  const auto x = torch::randn({5, 6, 5, 32}).requires_grad_();
  const auto norm = random_norm(32, torch::kFloat);
  const ShiftBlock block = random_block(random, 32, torch::kFloat);
  const auto first = random_projection(32, 64, torch::kFloat);
  const auto second = random_projection(64, 32, torch::kFloat);
  const auto embed = random_projection(32, 32, torch::kFloat);
  const auto scale = torch::tensor({1.25f, 0.0f, 1.25f, 1.25f, 1.25f});
  auto inputs = inputs_of(x, block);
  for (const auto& tensor : {first.weight, first.bias, second.weight, embed.bias}) {
    inputs.push_back(tensor);
  }
  const auto run = [&](bool bf16, bool gradients) {
    torch::Tensor y;
    {
      const AutocastGuard autocast(torch::kCPU, bf16 ? torch::kBFloat16 : torch::kFloat);
      const auto embedded = fused_linear(x, embed.weight, embed.bias, Activation::kGelu);
      const auto map = fused_shift_block({embedded, {}}, block, scale);
      y = fused_mlp(fused_mlp_block(map, block.norm1, first, second, scale).x, first, second);
    }
    EXPECT_FALSE(bf16_autocast());
    EXPECT_EQ(y.scalar_type(), bf16 ? torch::kBFloat16 : torch::kFloat);
    std::vector<torch::Tensor> results{y.detach()};
    if (!gradients) return results;
    for (auto& d : torch::autograd::grad({y.to(torch::kFloat).square().mean()}, inputs)) {
      results.push_back(d);
    }
    return results;
  };
  const auto expected = run(false, true), found = run(true, true);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), i == 0 ? torch::kBFloat16 : torch::kFloat) << i;
    const double error = (found[i].to(torch::kFloat) - expected[i]).norm().item<double>() /
                         expected[i].norm().item<double>();
    EXPECT_LT(error, 16 * std::ldexp(1, -8)) << i;
    EXPECT_GT(error, std::ldexp(1, -12)) << i << ": that was not bf16";
  }
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(run(true, false)[0].equal(found[0])) << "the forward without gradients differs";
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
}  // namespace asmlp::nn::functional_test
