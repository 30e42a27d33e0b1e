#include "asmlp/torch/optim/muon.h"

#include <gtest/gtest.h>

#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/optim/optimizer.h"

namespace asmlp::train::muon_test {
namespace {

// The singular vectors of the matrix, its singular values all near 1.
TEST(Muon, OrthogonalKeepsTheDirections) {
  torch::manual_seed(1);
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, std::pair{1, 9}, std::pair{16, 16}, std::pair{40, 9}, std::pair{24, 96}}) {
    const auto d = torch::randn({rows, columns}, torch::kDouble);
    const auto [u, s, v] = torch::svd(d);
    const auto o = orthogonal(d.to(torch::kFloat)).to(torch::kDouble);
    ASSERT_EQ(o.sizes(), d.sizes());
    const auto inside = torch::mm(torch::mm(u.t(), o), v);  // diagonal
    const auto values = inside.diagonal();
    EXPECT_LT((inside - torch::diag(values)).abs().max().item<double>(), 1e-4) << rows;
    // The iteration has not lifted the smallest ones of a square matrix altogether.
    const auto lifted = values.masked_select(s > 0.05 * s.max());
    EXPECT_GT(lifted.min().item<double>(), 0.6) << rows << " x " << columns;
    EXPECT_LT(values.max().item<double>(), 1.3) << rows << " x " << columns;
  }
  EXPECT_EQ(orthogonal(torch::zeros({3, 4})).abs().max().item<float>(), 0);
}

TEST(Muon, ScaleOfTheGradientDoesNotMatter) {
  torch::manual_seed(2);
  const auto d = torch::randn({8, 20});
  EXPECT_LT((orthogonal(d) - orthogonal(d * 1e-3)).abs().max().item<float>(), 1e-3f);
}

// The layers' weights by the formula, everything else as AdamW.
TEST(Muon, TakesTheWeightsOfTheLayers) {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 1};
  config.num_classes = 3;
  config.downsample = Downsample::kConv;
  torch::manual_seed(3);
  nn::AsMlp a(config), b(config);
  {
    const torch::NoGradGuard no_grad;
    for (size_t i = 0; i < a->parameters().size(); ++i)
      b->parameters()[i].copy_(a->parameters()[i]);
  }
  OptimizerOptions options{.opt = Opt::kMuon, .momentum = 0.9, .weight_decay = 0.1};
  Optimizer muon(*a, options);
  options.opt = Opt::kAdamW;
  Optimizer adamw(*b, options);
  const auto before = a->named_parameters();
  std::map<std::string, torch::Tensor> start;
  for (const auto& item : before) start[item.key()] = item.value().detach().clone();
  for (size_t i = 0; i < a->parameters().size(); ++i) {
    const auto gradient = torch::randn_like(a->parameters()[i]);
    a->parameters()[i].mutable_grad() = gradient;
    b->parameters()[i].mutable_grad() = gradient;
  }
  muon.step(0.01, 0.5);
  adamw.step(0.01, 0.5);
  const auto others = b->named_parameters();
  int matrices = 0;
  for (const auto& item : a->named_parameters()) {
    const std::string& name = item.key();
    const auto& value = item.value();
    if (!takes_muon(name, value.dim())) {
      EXPECT_TRUE(value.equal(others[name])) << name;
      continue;
    }
    ++matrices;
    const auto g = (value.grad() * 0.5).flatten(1);
    const auto longest = double(std::max(g.size(0), g.size(1)));
    const auto expected = start[name] * (1 - 0.01 * 0.1) -
                          0.01 * 0.2 * std::sqrt(longest) * orthogonal(g).reshape(value.sizes());
    EXPECT_LT((value - expected).abs().max().item<float>(), 1e-4f) << name;
  }
  EXPECT_EQ(matrices, 2 * 6 + 1);
  EXPECT_FALSE(takes_muon("head.weight", 2));
  EXPECT_FALSE(takes_muon("patch_embed.proj.weight", 4));
  EXPECT_TRUE(takes_muon("backbone.layers.0.blocks.1.mlp.fc1.weight", 4));
}

}  // namespace
}  // namespace asmlp::train::muon_test
