// The fused network against the authors' formulation in ATen operations.
#include "asmlp/torch/nn/eager_as_mlp.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/torch/ops/autocast.h"
#include "tests/support/random_config.h"

namespace asmlp::nn::eager_as_mlp_test {
namespace {

// Loss and the gradients of all parameters, in the order of parameters().
template <typename Forward>
std::vector<torch::Tensor> loss_and_gradients(AsMlp& model, const Forward& forward) {
  torch::manual_seed(51);  // of drop path
  const auto logits = forward().to(torch::kFloat64);
  const auto loss =
      (logits * torch::linspace(-1, 1, logits.numel(), torch::kFloat64).reshape(logits.sizes()))
          .sum() +
      logits.square().mean();
  auto all = torch::autograd::grad({loss}, model->parameters());
  all.push_back(loss.detach());
  return all;
}

// In fp64, for every padding and connection, odd maps and drop path: only the order of the sums
// differs (1e-16 a term, some hundred layers of some hundred terms).
TEST(EagerAsMlp, EqualsTheFusedNetworkInLossAndGradients) {
  std::mt19937 random(52);
  torch::manual_seed(52);
  for (int i = 0; i < 12; ++i) {
    Config config = test::random_config(random, {.in_chans = {1, 3},
                                                 .num_classes = {0, 7},
                                                 .embed_dim = {8, 13},
                                                 .stages = {1, 2},
                                                 .blocks = {1, 2},
                                                 .patch_size = {2},
                                                 .mlp_ratio = {2.0, 3.5},
                                                 .shift_h = {1, 3, 5},
                                                 .shift_w = {3, 5, 7},
                                                 .dilation = {1}});
    config.drop_path = i % 2 ? 0.3 : 0.0;
    AsMlp model(config);
    model->to(torch::kFloat64);
    const EagerAsMlp eager(model);
    // Maps of at least 4 pixels: ATen reflects no wider than the map.
    auto images = torch::randn({3, config.in_chans, 17, 20}, torch::kFloat64);
    const auto fused = loss_and_gradients(model, [&] { return model->forward(images); });
    for (const auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
      const auto plain =
          loss_and_gradients(model, [&] { return eager.forward(images.contiguous(format)); });
      for (size_t k = 0; k < plain.size(); ++k) {
        const double size = std::max(1.0, plain[k].abs().max().item<double>());
        EXPECT_LT((plain[k] - fused[k]).abs().max().item<double>(), 1e-10 * size)
            << "case " << i << " tensor " << k;
      }
    }
  }
}

TEST(EagerAsMlp, EqualsTheFusedBackboneInItsMaps) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(54);
  Config config;
  config.num_classes = 0;
  config.embed_dim = 12;
  config.depths = {1, 2, 1};
  Backbone backbone(config);
  for (auto& p : backbone->parameters())
    p.add_(torch::randn_like(p) * 0.05);  // norms of 1 and 0 too
  backbone->to(torch::kFloat64);
  const auto images = torch::randn({2, 3, 43, 50}, torch::kFloat64);
  const auto fused = backbone->forward(images);
  const auto eager = EagerAsMlp(backbone).maps(images);
  ASSERT_EQ(eager.size(), fused.size());
  for (size_t k = 0; k < fused.size(); ++k) {
    EXPECT_LT((eager[k] - fused[k]).abs().max().item<double>(), 1e-10) << k;
  }
}

// Under autocast both stay near the fp32 gradients, taken together: 2^-9 for each of some tens of
// roundings in a row.
TEST(EagerAsMlp, Bf16AutocastStaysNearTheFp32Gradients) {
  Config config;
  config.num_classes = 7;
  config.embed_dim = 16;
  config.depths = {1, 2};
  torch::manual_seed(53);
  AsMlp model(config);
  const EagerAsMlp eager(model);
  const auto images = torch::randn({4, 3, 56, 60});
  const auto flat = [](const std::vector<torch::Tensor>& all) {
    std::vector<torch::Tensor> rows;
    for (const auto& tensor : all) rows.push_back(tensor.reshape({-1}).to(torch::kFloat64));
    return torch::cat(rows);
  };
  const auto expected = flat(loss_and_gradients(model, [&] { return model->forward(images); }));
  const auto error = [&](const auto& forward) {
    const auto found = flat(loss_and_gradients(model, [&] {
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      return forward();
    }));
    return ((found - expected).norm() / expected.norm()).template item<double>();
  };
  EXPECT_LT(error([&] { return model->forward(images); }), 32 * std::ldexp(1, -9));
  EXPECT_LT(error([&] { return eager.forward(images); }), 32 * std::ldexp(1, -9));
}

}  // namespace
}  // namespace asmlp::nn::eager_as_mlp_test
