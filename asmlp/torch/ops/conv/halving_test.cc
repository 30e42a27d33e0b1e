// The halving convolution against LibTorch's own, values and gradients.
#include "asmlp/torch/ops/conv/halving.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"

namespace asmlp::nn::halving_test {

torch::Tensor reference(const torch::Tensor& x, const torch::Tensor& weight,
                        const torch::Tensor& bias) {
  return torch::conv2d(x.permute({0, 3, 1, 2}), weight, bias, 2, 1).permute({0, 2, 3, 1});
}

TEST(HalvingConv, EqualsConv2dForEverySmallMap) {
  torch::manual_seed(1);
  for (const int64_t h : {1, 2, 3, 4, 7, 8}) {
    for (const int64_t w : {1, 2, 5, 6, 9}) {
      const auto x = torch::randn({2, h, w, 5}, torch::kDouble).requires_grad_();
      const auto weight = torch::randn({4, 5, 3, 3}, torch::kDouble).requires_grad_();
      const auto bias = torch::randn({4}, torch::kDouble).requires_grad_();
      const auto y = halving_conv(x, weight, bias), expected = reference(x, weight, bias);
      ASSERT_EQ(y.sizes(), expected.sizes()) << h << " x " << w;
      EXPECT_LT((y - expected).abs().max().item<double>(), 1e-12) << h << " x " << w;
      const auto dy = torch::randn_like(expected);
      const auto got = torch::autograd::grad({y}, {x, weight, bias}, {dy});
      const auto wanted = torch::autograd::grad({expected}, {x, weight, bias}, {dy});
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_LT((got[i] - wanted[i]).abs().max().item<double>(), 1e-11) << h << " x " << w;
      }
    }
  }
}

TEST(HalvingConv, DifferentiatesTwice) {
  torch::manual_seed(2);
  const auto x = torch::randn({1, 5, 4, 3}, torch::kDouble).requires_grad_();
  const auto weight = torch::randn({2, 3, 3, 3}, torch::kDouble).requires_grad_();
  const auto second = [&](const torch::Tensor& y) {
    const auto dx = torch::autograd::grad({y.square().sum()}, {x}, {}, true, true)[0];
    return torch::autograd::grad({dx.square().sum()}, {x})[0];
  };
  const auto got = second(halving_conv(x, weight, {})), wanted = second(reference(x, weight, {}));
  EXPECT_LT((got - wanted).abs().max().item<double>(), 1e-10 * wanted.abs().max().item<double>());
}

TEST(HalvingConv, TakesOtherTypesAndLayouts) {
  torch::manual_seed(3);
  const auto x = torch::randn({2, 3, 6, 7}).permute({0, 2, 3, 1});  // the memory of N x C x H x W
  const auto weight = torch::randn({4, 3, 3, 3});
  EXPECT_LT((halving_conv(x, weight, {}) - reference(x, weight, {})).abs().max().item<float>(),
            1e-5f);
  const auto taps = halving_taps(x.to(torch::kBFloat16));
  EXPECT_TRUE(taps.equal(halving_taps(x).to(torch::kBFloat16)));
}

TEST(HalvingConv, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(halving_taps(torch::zeros({3, 4, 5})), Error);
  EXPECT_THROW(halving_conv(torch::zeros({1, 4, 4, 3}), torch::zeros({2, 4, 3, 3}), {}), Error);
  EXPECT_THROW(halving_conv(torch::zeros({1, 4, 4, 3}), torch::zeros({2, 3, 1, 1}), {}), Error);
}

}  // namespace asmlp::nn::halving_test
