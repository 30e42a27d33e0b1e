#include "asmlp/torch/ops/axial_shift.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/core/error.h"
#include "tests/support/gradients.h"

namespace asmlp::nn::axial_shift_test {
namespace {

AxialShift random_shift(std::mt19937& random) {
  return {random() % 2 ? Axis::kHeight : Axis::kWidth, 1 + static_cast<int>(random() % 9),
          1 + static_cast<int>(random() % 3), static_cast<Padding>(random() % 4)};
}

torch::Tensor random_image(std::mt19937& random, at::ScalarType type) {
  const auto size = [&](int limit) { return static_cast<int64_t>(1 + random() % limit); };
  return torch::randn({size(3), size(9), size(9), size(14)}, type);
}

// Both forms are the definition, to the bit, for any shape, type and memory layout.
TEST(AxialShift, KernelAndComposedFormEqualTheDefinition) {
  std::mt19937 random(21);
  for (int i = 0; i < 400; ++i) {
    const auto type = i % 3 == 0   ? torch::kFloat64
                      : i % 3 == 1 ? torch::kFloat32
                                   : torch::kBFloat16;
    auto x = random_image(random, type);
    if (i % 2) x = x.transpose(1, 2);
    if (i % 5 == 0) x = x.permute({0, 2, 3, 1});
    const auto shift = random_shift(random);
    auto expected = torch::zeros(x.sizes(), torch::kFloat64);
    const auto in = x.to(torch::kFloat64);
    const int axis = static_cast<int>(shift.axis);
    for (int64_t c = 0; c < x.size(3); ++c) {
      const int d = shift_of_channel(static_cast<int>(c), static_cast<int>(x.size(3)),
                                     shift.positions, shift.dilation);
      for (int p = 0; p < x.size(axis); ++p) {
        const int from = padded_index(p - d, static_cast<int>(x.size(axis)), shift.padding);
        if (from >= 0) {
          expected.select(3, c).select(axis, p).copy_(in.select(3, c).select(axis, from));
        }
      }
    }
    EXPECT_TRUE(axial_shift(x, shift).to(torch::kFloat64).equal(expected)) << i;
    EXPECT_TRUE(axial_shift_composed(x, shift).to(torch::kFloat64).equal(expected)) << i;
  }
}

// <shift(x), y> = <x, adjoint(y)>, and the eager form's gradient (ATen's own) is the same.
TEST(AxialShift, GradientIsTheAdjoint) {
  std::mt19937 random(22);
  for (int i = 0; i < 200; ++i) {
    const auto x = random_image(random, torch::kFloat64).requires_grad_();
    const auto shift = random_shift(random);
    const auto y = torch::randn_like(x);
    const auto gradient = torch::autograd::grad({axial_shift(x, shift)}, {x}, {y})[0];
    const auto eager = torch::autograd::grad({axial_shift_composed(x, shift)}, {x}, {y})[0];
    EXPECT_TRUE(torch::allclose(gradient, eager, 1e-12, 1e-13)) << i;
    EXPECT_NEAR((axial_shift(x, shift) * y).sum().item<double>(),
                (x * gradient).sum().item<double>(), 1e-10);
  }
}

TEST(AxialShift, GradcheckByFiniteDifferences) {
  std::mt19937 random(23);
  for (int i = 0; i < 24; ++i) {
    const auto shift = random_shift(random);
    const auto x = torch::randn({1, 4, 3, 6}, torch::kFloat64);
    EXPECT_LT(
        gradient_error([&](const torch::Tensor& t) { return axial_shift(t, shift).pow(3); }, x),
        1e-7)
        << i;
  }
}

// d2/dx2 of sum(shift(x)^3) through the operator's own backward.
TEST(AxialShift, DifferentiatesTwice) {
  std::mt19937 random(24);
  for (int i = 0; i < 24; ++i) {
    const auto shift = random_shift(random);
    const auto x = torch::randn({1, 4, 3, 6}, torch::kFloat64);
    const auto first_gradient = [&](const torch::Tensor& t) {
      return torch::autograd::grad({axial_shift(t, shift).pow(3).sum()}, {t}, {}, true, true)[0];
    };
    EXPECT_LT(gradient_error(first_gradient, x), 1e-6) << i;
  }
}

TEST(AxialShift, WrongInputIsRefused) {
  EXPECT_THROW(axial_shift(torch::randn({3, 4, 5}), {}), Error);
  EXPECT_THROW(axial_shift(torch::randn({1, 0, 5, 3}), {}), Error);
  EXPECT_THROW(axial_shift(torch::ones({1, 2, 5, 3}, torch::kLong), {}), Error);
  EXPECT_THROW(axial_shift(torch::randn({1, 2, 5, 3}), {.positions = 0}), Error);
}

}  // namespace
}  // namespace asmlp::nn::axial_shift_test
