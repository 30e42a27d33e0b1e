#include "asmlp/torch/optim/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/optim/adamw.h"
#include "asmlp/torch/optim/sgd.h"

namespace asmlp::train::optimizer_test {
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

// Not the defaults.
const OptimizerOptions kOther{.weight_decay = 0.1, .eps = 1e-6, .betas = {0.8, 0.95}};

TEST(AdamW, IsTorchOptimAdamW) {
  auto mine = small_module(), reference = small_module();
  Optimizer optimizer(*mine, kOther);
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
    optimizer.zero_grad();
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

// What runs where there is no loop of our own (a GPU) is the same formula.
TEST(AdamW, TheComposedUpdateIsTheLoop) {
  auto mine = small_module(), eager = small_module();
  Optimizer a(*mine, kOther), b(*eager, kOther);
  for (int step = 0; step < 20; ++step) {
    const double lr = 0.02 / (1 + step), scale = step % 3 == 0 ? 0.25 : 1.0;
    set_gradients(*mine, *eager, step);
    a.step(lr, scale);
    for (OptimizerSlot& slot : b.slots()) {
      eager_adamw(slot.parameter, slot.moment("m"), slot.moment("v"),
                  {.keep = slot.decay ? 1 - lr * 0.1 : 1,
                   .scale = scale,
                   .b1 = 0.8,
                   .b2 = 0.95,
                   .step_size = lr / (1 - std::pow(0.8, step + 1)),
                   .root_v_scale = 1 / std::sqrt(1 - std::pow(0.95, step + 1)),
                   .eps = 1e-6});
    }
  }
  for (size_t i = 0; i < a.slots().size(); ++i) {
    const auto difference = [](const torch::Tensor& x, const torch::Tensor& y) {
      return ((x - y).abs().max() / y.abs().max()).item<double>();
    };
    EXPECT_LT(difference(a.slots()[i].parameter, b.slots()[i].parameter), 2e-6);
    EXPECT_LT(difference(a.slots()[i].moment("m"), b.slots()[i].moment("m")), 2e-6);
    EXPECT_LT(difference(a.slots()[i].moment("v"), b.slots()[i].moment("v")), 2e-6);
  }
}

// With and without Nesterov's momentum and weight decay.
TEST(Sgd, IsTorchOptimSgd) {
  for (const bool nesterov : {false, true}) {
    for (const double momentum : {0.0, 0.9}) {
      if (nesterov && momentum == 0) continue;
      auto mine = small_module(), eager = small_module(), reference = small_module();
      const OptimizerOptions settings{
          .opt = Opt::kSgd, .momentum = momentum, .nesterov = nesterov, .weight_decay = 0.1};
      Optimizer optimizer(*mine, settings), slots(*eager, settings);
      std::vector<torch::optim::OptimizerParamGroup> groups;
      for (const auto& item : reference->named_parameters()) {
        auto options = std::make_unique<torch::optim::SGDOptions>(0.01);
        options->momentum(momentum).nesterov(nesterov).weight_decay(item.value().dim() == 1 ? 0
                                                                                            : 0.1);
        groups.emplace_back(std::vector<torch::Tensor>{item.value()}, std::move(options));
      }
      torch::optim::SGD expected(groups, torch::optim::SGDOptions(0.01));
      for (int step = 0; step < 30; ++step) {
        const double lr = 0.02 / (1 + step), scale = step % 3 == 0 ? 0.25 : 1.0;
        set_gradients(*mine, *reference, step, scale);
        set_gradients(*eager, *eager, step);
        for (auto& group : expected.param_groups()) {
          static_cast<torch::optim::SGDOptions&>(group.options()).lr(lr);
        }
        optimizer.step(lr, scale);
        expected.step();
        for (OptimizerSlot& slot : slots.slots()) {
          eager_sgd(slot.parameter, slot.moment("momentum"),
                    {lr, scale, slot.decay ? 0.1 : 0, momentum, nesterov});
        }
        const auto a = mine->parameters(), b = reference->parameters(), c = eager->parameters();
        for (size_t i = 0; i < a.size(); ++i) {
          // Some roundings per step, of values whose gradients reach 30.
          const double bound = 1e-6 * (1 + b[i].abs().max().item<double>());
          ASSERT_LT((a[i] - b[i]).abs().max().item<double>(), bound) << step << ' ' << i;
          ASSERT_LT((c[i] - b[i]).abs().max().item<double>(), bound) << step << ' ' << i;
        }
      }
    }
  }
}

TEST(Sgd, NesterovNeedsMomentum) {
  OptimizerOptions options{.opt = Opt::kSgd, .momentum = 0, .nesterov = true};
  EXPECT_THROW(validate(options), Error);
  options.nesterov = false;
  EXPECT_NO_THROW(validate(options));
}

TEST(AdamW, GradientsAreForgotten) {
  auto module = small_module(), other = small_module();
  Optimizer optimizer(*module, {.weight_decay = 0});
  set_gradients(*module, *other, 1);
  optimizer.zero_grad();
  EXPECT_FALSE(module->parameters()[0].grad().defined());
}

TEST(AdamW, TheNormIsOfAllGradientsTogether) {
  auto module = small_module(), other = small_module();
  Optimizer optimizer(*module, {.weight_decay = 0});
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
  Optimizer optimizer(*model);
  ASSERT_EQ(optimizer.slots().size(), parameter_table(config).size());
  int decayed = 0;
  for (const OptimizerSlot& slot : optimizer.slots()) {
    const bool norm = slot.name.find("norm") != std::string::npos;
    const bool bias = slot.name.ends_with(".bias");
    EXPECT_EQ(slot.decay, !norm && !bias) << slot.name;
    decayed += slot.decay;
  }
  // Patch embedding, one merging, head, and six projections in each of three blocks.
  EXPECT_EQ(decayed, 3 + 3 * 6);
}

// With either optimizer, also by the average and by weight decay, whatever the gradients of the
// others.
TEST(Optimizer, WhatTakesNoGradientStaysAsItIsToTheBit) {
  for (const Opt opt : {Opt::kAdamW, Opt::kSgd}) {
    auto module = small_module(), average = small_module(), other = small_module();
    module->parameters()[0].set_requires_grad(false);
    Optimizer optimizer(*module, {.opt = opt, .weight_decay = 0.5});
    EXPECT_TRUE(optimizer.slots()[0].moments.empty());
    EXPECT_EQ(optimizer.slots()[1].moments.size(), opt == Opt::kSgd ? 1u : 2u);
    const auto before = module->parameters()[0].clone(), moved = module->parameters()[1].clone();
    for (int step = 0; step < 5; ++step) {
      set_gradients(*module, *other, step);
      optimizer.step(0.1, 1);
      update_average(*average, *module, 0.7);
    }
    EXPECT_TRUE(torch::equal(module->parameters()[0], before));
    EXPECT_TRUE(torch::equal(average->parameters()[0], before));
    EXPECT_FALSE(torch::equal(module->parameters()[1], moved));
    EXPECT_FALSE(torch::equal(average->parameters()[1], moved));
  }
}

// The update of a slot with lr_scale is that of another learning rate.
TEST(Optimizer, ALayersScaleIsAnotherLearningRate) {
  for (const Opt opt : {Opt::kAdamW, Opt::kSgd}) {
    auto scaled = small_module(), plain = small_module();
    Optimizer a(*scaled, {.opt = opt}), b(*plain, {.opt = opt});
    for (OptimizerSlot& slot : a.slots()) slot.lr_scale = 0.5;
    for (int step = 0; step < 5; ++step) {
      set_gradients(*scaled, *plain, step);
      a.step(0.02, 1);
      b.step(0.01, 1);
    }
    for (size_t i = 0; i < a.slots().size(); ++i) {
      EXPECT_TRUE(torch::equal(a.slots()[i].parameter, b.slots()[i].parameter));
    }
  }
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

// average_n = d^n a_0 + (1 - d) sum_k d^(n-k) w_k, the reference of timm's ModelEmaV2.
TEST(Average, IsTheExponentiallyWeightedMean) {
  auto average = small_module(), module = small_module();
  const double d = 0.9;
  auto expected = average->parameters()[0].detach().to(torch::kDouble).clone();
  for (int step = 0; step < 25; ++step) {
    for (auto& p : module->parameters()) p.detach().add_(std::sin(step));
    update_average(*average, *module, d);
    expected = d * expected + (1 - d) * module->parameters()[0].detach().to(torch::kDouble);
  }
  EXPECT_LT((average->parameters()[0] - expected).abs().max().item<double>(), 5e-6);
}

TEST(WeightDecay, FollowsTheRuleOfTheTask) {
  const NoDecay timm = NoDecay::kOneDimensional, mmcv = NoDecay::kNorms;
  EXPECT_TRUE(takes_weight_decay("layers.0.blocks.0.mlp.fc1.weight", 4, timm));
  EXPECT_FALSE(takes_weight_decay("layers.0.blocks.0.mlp.fc1.bias", 1, timm));
  EXPECT_FALSE(takes_weight_decay("norm.weight", 1, timm));
  EXPECT_TRUE(takes_weight_decay("backbone.layers.0.blocks.0.mlp.fc1.bias", 1, mmcv));
  EXPECT_TRUE(takes_weight_decay("roi_head.bbox_head.0.shared_convs.0.bn.weight", 1, mmcv));
  EXPECT_FALSE(takes_weight_decay("backbone.norm2.bias", 1, mmcv));
  EXPECT_FALSE(takes_weight_decay("backbone.layers.0.downsample.norm.weight", 1, mmcv));
}

}  // namespace
}  // namespace asmlp::train::optimizer_test
