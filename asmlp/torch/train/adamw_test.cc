#include "asmlp/torch/train/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/model/params.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/train/grad_scaler.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train::adamw_test {
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
  AdamW optimizer(*mine, kOther);
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
  AdamW a(*mine, kOther), b(*eager, kOther);
  for (int step = 0; step < 20; ++step) {
    const double lr = 0.02 / (1 + step), scale = step % 3 == 0 ? 0.25 : 1.0;
    set_gradients(*mine, *eager, step);
    a.step(lr, scale);
    for (AdamWSlot& slot : b.slots()) {
      eager_update(slot, {.keep = slot.decay ? 1 - lr * 0.1 : 1,
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
    EXPECT_LT(difference(a.slots()[i].m, b.slots()[i].m), 2e-6);
    EXPECT_LT(difference(a.slots()[i].v, b.slots()[i].v), 2e-6);
  }
}

TEST(AdamW, GradientsAreForgottenInTwoWays) {
  auto module = small_module(), other = small_module();
  AdamW optimizer(*module, {.weight_decay = 0});
  set_gradients(*module, *other, 1);
  const void* memory = module->parameters()[0].grad().data_ptr();
  optimizer.zero_grad(/*keep_memory=*/true);
  EXPECT_EQ(module->parameters()[0].grad().data_ptr(), memory);
  EXPECT_EQ(optimizer.gradient_norm(), 0);
  optimizer.zero_grad();
  EXPECT_FALSE(module->parameters()[0].grad().defined());
}

TEST(AdamW, TheNormIsOfAllGradientsTogether) {
  auto module = small_module(), other = small_module();
  AdamW optimizer(*module, {.weight_decay = 0});
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
  AdamW optimizer(*model);
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

TEST(GradScaler, FollowsTheRule) {
  GradScaler scaler(true);
  EXPECT_EQ(scaler.scale(), 65536);
  scaler.update(/*overflow=*/true);
  EXPECT_EQ(scaler.scale(), 32768);
  for (int i = 0; i < GradScaler::kInterval - 1; ++i) scaler.update(false);
  EXPECT_EQ(scaler.scale(), 32768);
  scaler.update(true);  // one step before it would have grown
  EXPECT_EQ(scaler.scale(), 16384);
  for (int i = 0; i < GradScaler::kInterval; ++i) scaler.update(false);
  EXPECT_EQ(scaler.scale(), 32768);
  EXPECT_EQ(scaler.good_steps(), 0);
  for (int i = 0; i < 7; ++i) scaler.update(false);

  GradScaler continued(true);
  continued.restore(scaler.scale(), scaler.good_steps());
  for (int i = 0; i < GradScaler::kInterval - 7; ++i) continued.update(false);
  EXPECT_EQ(continued.scale(), 65536);
  // It stays within what fp32 holds.
  for (int64_t i = 0; i < 200 * GradScaler::kInterval; ++i) continued.update(false);
  EXPECT_LT(continued.scale(), 0x1p127);
  EXPECT_TRUE(std::isfinite(static_cast<float>(continued.scale())));

  GradScaler off(false);
  off.update(true);
  off.restore(4096, 3);
  EXPECT_EQ(off.scale(), 1);
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

TEST(Schedule, TheDetectorsAndTheSegmentors) {
  const auto schedule_of = [](Task task, int64_t steps_per_epoch) {
    const TrainOptions o = default_options(task);
    return make_schedule(o.schedule, o.learning_rates(8), steps_per_epoch);
  };
  const Schedule detect = schedule_of(Task::kDetect, 7330);
  EXPECT_NEAR(detect.lr(0), 1e-7, 1e-20);
  EXPECT_DOUBLE_EQ(detect.lr(250), 1e-4 * (1 - 0.5 * 0.999));
  EXPECT_DOUBLE_EQ(detect.lr(500), 1e-4);
  EXPECT_DOUBLE_EQ(detect.lr(8 * 7330 - 1), 1e-4);
  EXPECT_DOUBLE_EQ(detect.lr(8 * 7330), 1e-5);
  EXPECT_DOUBLE_EQ(detect.lr(11 * 7330 - 1), 1e-5);
  EXPECT_DOUBLE_EQ(detect.lr(11 * 7330), 1e-6);
  const Schedule segment = schedule_of(Task::kSegment, 16000);
  const auto base = [](double t) { return 6e-5 * (1 - t / 160000); };
  EXPECT_NEAR(segment.lr(0), 6e-11, 1e-18);
  EXPECT_DOUBLE_EQ(segment.lr(600), base(600) * (1 - (1 - 0.4) * (1 - 1e-6)));
  EXPECT_DOUBLE_EQ(segment.lr(1500), base(1500));
  EXPECT_DOUBLE_EQ(segment.lr(80000), 3e-5);
  EXPECT_EQ(segment.lr(160000), 0);
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
}  // namespace asmlp::train::adamw_test
