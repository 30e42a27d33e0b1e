#include "asmlp/torch/ops/conv/levels.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "tests/support/gradients.h"

namespace asmlp::nn {
namespace levels_test {

torch::Tensor map_of(int64_t channels, int64_t h, int64_t w) {
  return torch::randn({2, channels, h, w}, torch::kFloat64);
}

// Halves, odd sizes, single pixels, a level that is finer, one that is as large, kernels 1, 3
// and 5.
TEST(ConvOfLevels, ComputesWhatResizingDoes) {
  torch::manual_seed(1);
  const std::vector<std::vector<torch::Tensor>> cases{
      {map_of(3, 8, 12), map_of(4, 4, 6), map_of(2, 2, 3), map_of(3, 1, 1)},
      {map_of(3, 7, 5), map_of(2, 3, 2), map_of(2, 7, 5)},
      {map_of(1, 5, 5), map_of(2, 4, 5), map_of(2, 9, 11), map_of(1, 1, 5)},
      {map_of(2, 1, 1), map_of(2, 1, 1)}};
  for (const auto& levels : cases) {
    int64_t channels = 0;
    for (const auto& level : levels) channels += level.size(1);
    for (const int64_t k : {1, 3, 5}) {
      auto inputs = levels;
      inputs.push_back(torch::randn({5, channels, k, k}, torch::kFloat64));
      for (auto& input : inputs) input = input.detach().requires_grad_();
      const std::vector<torch::Tensor> maps(inputs.begin(), inputs.end() - 1);
      const auto found = conv_of_levels(maps, inputs.back());
      const auto wanted = eager_conv_of_levels(maps, inputs.back());
      ASSERT_TRUE(torch::allclose(found, wanted, 1e-10, 1e-10)) << k;
      const auto d = torch::randn(found.sizes(), torch::kFloat64);
      const auto a = torch::autograd::grad({found}, inputs, {d});
      const auto b = torch::autograd::grad({wanted}, inputs, {d});
      for (size_t i = 0; i < a.size(); ++i) {
        EXPECT_TRUE(torch::allclose(a[i], b[i], 1e-10, 1e-10)) << k << " " << i;
      }
    }
  }
}

TEST(ConvOfLevels, GradientsAreFiniteDifferencesToTheSecondOrder) {
  torch::manual_seed(2);
  const auto fine = map_of(2, 5, 6), coarse = map_of(3, 2, 3);
  const auto weight = torch::randn({3, 5, 3, 3}, torch::kFloat64);
  EXPECT_LT(gradient_error(
                [&](const auto& v) {
                  return conv_of_levels({fine, v}, weight);
                },
                coarse),
            1e-7);
  EXPECT_LT(gradient_error(
                [&](const auto& v) {
                  return conv_of_levels({fine, coarse}, v);
                },
                weight),
            1e-7);
  const auto gradient_of = [&](const torch::Tensor& v) {
    const auto y = conv_of_levels({fine, v * v}, weight);
    return torch::autograd::grad({(y * y).sum()}, {v}, {}, true, true)[0];
  };
  EXPECT_LT(gradient_error(gradient_of, coarse), 1e-6);
}

TEST(ConvOfLevels, RefusesWhatDoesNotFit) {
  const auto weight = torch::zeros({3, 5, 3, 3}, torch::kFloat64);
  EXPECT_THROW(conv_of_levels({map_of(2, 4, 4), map_of(2, 2, 2)}, weight), Error);
  EXPECT_THROW(conv_of_levels({}, weight), Error);
  EXPECT_THROW(add_taps(map_of(4, 2, 2), 3, 4, 4), Error);
}

}  // namespace levels_test
}  // namespace asmlp::nn
