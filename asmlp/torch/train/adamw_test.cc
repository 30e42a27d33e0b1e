#include "asmlp/torch/train/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/model/params.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/train/schedule.h"

namespace asmlp::train {
namespace {

torch::nn::Sequential small_module() {
  torch::manual_seed(3);
  return torch::nn::Sequential(torch::nn::Linear(5, 4),
                               torch::nn::GroupNorm(torch::nn::GroupNormOptions(1, 4)));
}

// Gradients of very different sizes, the same on both modules.
void set_gradients(torch::nn::Module& a, torch::nn::Module& b, int step, double scale = 1) {
  torch::manual_seed(100 + step);
  const auto pa = a.parameters(), pb = b.parameters();
  for (size_t i = 0; i < pa.size(); ++i) {
    const auto gradient = torch::randn_like(pa[i]) * std::pow(10.0, step % 5 - 3);
    pa[i].mutable_grad() = gradient.clone();
    pb[i].mutable_grad() = gradient * scale;
  }
}

TEST(AdamW, IsTorchOptimAdamW) {
  auto mine = small_module(), reference = small_module();
  AdamW optimizer(*mine, 0.1, {0.8, 0.95}, 1e-6);
  std::vector<torch::Tensor> decay, no_decay;
  for (const auto& item : reference->named_parameters()) {
    (item.value().dim() == 1 ? no_decay : decay).push_back(item.value());
  }
  ASSERT_EQ(decay.size(), 1u);
  ASSERT_EQ(no_decay.size(), 3u);
  torch::optim::AdamWOptions options(0.01);
  options.betas({0.8, 0.95}).eps(1e-6).weight_decay(0.1);
  auto plain = options;
  plain.weight_decay(0);
  torch::optim::AdamW expected({torch::optim::OptimizerParamGroup(
                                    decay, std::make_unique<torch::optim::AdamWOptions>(options)),
                                torch::optim::OptimizerParamGroup(
                                    no_decay, std::make_unique<torch::optim::AdamWOptions>(plain))},
                               options);
  for (int step = 0; step < 30; ++step) {
    const double lr = 0.02 / (1 + step), scale = step % 3 == 0 ? 0.25 : 1.0;
    set_gradients(*mine, *reference, step, scale);
    for (auto& group : expected.param_groups()) {
      static_cast<torch::optim::AdamWOptions&>(group.options()).lr(lr);
    }
    optimizer.step(lr, scale);
    expected.step();
    const auto a = mine->parameters(), b = reference->parameters();
    for (size_t i = 0; i < a.size(); ++i) {
      const double error = (a[i] - b[i]).abs().max().item<double>();
      ASSERT_LT(error, 2e-6) << "step " << step << ", parameter " << i;
      ASSERT_FALSE(a[i].grad().defined());
    }
  }
  EXPECT_EQ(optimizer.updates(), 30);
}

TEST(AdamW, TheNormIsOfAllGradientsTogether) {
  auto module = small_module(), other = small_module();
  AdamW optimizer(*module, 0, {0.9, 0.999}, 1e-8);
  EXPECT_EQ(optimizer.gradient_norm(), 0);
  set_gradients(*module, *other, 4);
  double squares = 0;
  for (const auto& p : module->parameters()) {
    squares += p.grad().to(torch::kFloat64).pow(2).sum().item<double>();
  }
  EXPECT_NEAR(optimizer.gradient_norm(), std::sqrt(squares), 1e-12 * std::sqrt(squares));
  module->parameters()[1].mutable_grad()[0] = NAN;
  EXPECT_FALSE(std::isfinite(optimizer.gradient_norm()));
  module->parameters()[1].mutable_grad()[0] = INFINITY;
  EXPECT_FALSE(std::isfinite(optimizer.gradient_norm()));
}

// The authors' rule on the whole model: no decay for biases and norms, decay for every projection.
TEST(AdamW, DecayByName) {
  Config config;
  config.in_chans = 1;
  config.num_classes = 3;
  config.embed_dim = 4;
  config.depths = {1, 2};
  nn::AsMlp model(config);
  AdamW optimizer(*model, 0.05, {0.9, 0.999}, 1e-8);
  ASSERT_EQ(optimizer.slots().size(), parameter_table(config).size());
  int decayed = 0;
  for (const AdamWSlot& slot : optimizer.slots()) {
    const bool norm = slot.name.find("norm") != std::string::npos;
    const bool bias = slot.name.ends_with(".bias");
    EXPECT_EQ(slot.decay, !norm && !bias) << slot.name;
    decayed += slot.decay;
  }
  // Patch embedding, one merging, head, and six projections in each of three blocks.
  EXPECT_EQ(decayed, 3 + 3 * 6);
}

TEST(Average, MovesByOneMinusDecay) {
  auto average = small_module(), module = small_module();
  for (auto& p : module->parameters()) p.detach().add_(1);
  const auto before = average->parameters()[0].detach().clone();
  update_average(*average, *module, 0.75);
  EXPECT_LT((average->parameters()[0] - (before + 0.25)).abs().max().item<double>(), 1e-6);
  update_average(*average, *module, 0);
  EXPECT_TRUE(torch::equal(average->parameters()[0], module->parameters()[0]));
}

TEST(Schedule, WarmupThenCosine) {
  const Schedule s{.peak = 2, .first = 0.5, .last = 0.1, .warmup_steps = 10, .total_steps = 100};
  EXPECT_DOUBLE_EQ(s.lr(0), 0.5);
  EXPECT_DOUBLE_EQ(s.lr(5), 1.25);
  // The cosine counts from the start of the run, so it begins a little below the peak.
  EXPECT_NEAR(s.lr(10), 0.1 + 0.95 * (1 + std::cos(M_PI * 0.1)), 1e-12);
  EXPECT_NEAR(s.lr(50), 0.1 + 0.95, 1e-12);
  EXPECT_NEAR(s.lr(99), 0.1 + 0.95 * (1 + std::cos(M_PI * 0.99)), 1e-12);
  EXPECT_DOUBLE_EQ(s.lr(100), 0.1);
  EXPECT_DOUBLE_EQ(s.lr(100000), 0.1);
  for (int step = 1; step < 10; ++step) EXPECT_GT(s.lr(step), s.lr(step - 1));
  for (int step = 11; step <= 100; ++step) EXPECT_LT(s.lr(step), s.lr(step - 1));
  const Schedule no_warmup{.peak = 2, .first = 0.5, .last = 0, .warmup_steps = 0, .total_steps = 4};
  EXPECT_DOUBLE_EQ(no_warmup.lr(0), 2);
}

}  // namespace
}  // namespace asmlp::train
