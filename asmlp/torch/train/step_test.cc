#include "asmlp/torch/train/step.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>

#include "asmlp/torch/data/data_source.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/ops/allocator.h"
#include "asmlp/torch/train/tasks/classify_task.h"

namespace asmlp::train::step_test {
namespace {

// One pixel per image, 1, 2, 3, ...; two classes.
class Counting : public Dataset {
 public:
  int64_t size() const override { return 64; }
  int target(int64_t index) const override { return static_cast<int>(index % 2); }
  const std::vector<std::string>& classes() const override { return classes_; }
  Sample get(int64_t index) const override {
    Sample sample;
    sample.image = Image(1, 1, 1);
    sample.image.pixels[0] = static_cast<uint8_t>(index + 1);
    sample.target = target(index);
    return sample;
  }

 private:
  std::vector<std::string> classes_{"even", "odd"};
};

// logits = images x weight, of operators that autocast leaves alone: a CPU has no matrix products
// in fp16, but what half precision does to a gradient can be done to it.
class Scaling : public nn::ClassifierImpl {
 public:
  explicit Scaling(bool halve) {
    weight_ = register_parameter("weight", torch::tensor({{0.1}, {-0.2}}, torch::kFloat));
    if (!halve) return;
    weight_.register_hook(
        [](const torch::Tensor& gradient) { return gradient.to(torch::kHalf).to(torch::kFloat); });
  }
  torch::Tensor forward(const torch::Tensor& images) override {
    return (images.flatten(1).unsqueeze(1) * weight_).sum(2);
  }

 private:
  torch::Tensor weight_;
};

struct Rig {
  Counting dataset;
  std::unique_ptr<data::DataSource> split = data::make_data_source(dataset);
  std::unique_ptr<data::BatchSource> source;
  std::unique_ptr<dist::World> world = dist::single_world();
  TrainOptions options;
  std::shared_ptr<Scaling> model;
  std::optional<Step> step;
  std::optional<data::BatchStream> stream;

  // Images are their number times `brightness`.
  Rig(bool fp16, float brightness, double clip) {
    options.classification.mixup.mixup = options.classification.mixup.cutmix = 0;
    options.optimizer.clip_grad = clip;
    const auto apply = [brightness](const Sample& sample, data::Random&, std::span<float> out) {
      out[0] = brightness * float(sample.image.pixels[0]);
    };
    source = split->batches({.channels = 1, .height = 1, .width = 1, .apply = apply},
                            {.batch_size = 8, .workers = 0});
    stream.emplace(source->start(0));
    model = std::make_shared<Scaling>(fp16);
    // No autocast: before 2.x, LibTorch has none in fp16 on a CPU.
    const LossFunction loss = [this](data::Batch& batch, const MicroBatch& place) {
      return classification_loss(*model, batch, options, 2, place);
    };
    step.emplace(options, model, loss, *world, torch::kCPU, torch::kFloat, GradScaler(fp16));
  }
  StepResult next() { return step->run(*stream, {.lr = 0.1}, false); }
  torch::Tensor moment() { return step->optimizer().slots().at(0).moment("m"); }
  torch::Tensor weight() { return step->optimizer().slots().at(0).parameter.detach().clone(); }
};

TEST(Step, OverflowInFp16LeavesTheStepOutAndHalvesTheScale) {
  // Gradients of some units: 65536 times as much is more than fp16's 65504.
  Rig half(true, 1, 0), single(false, 1, 0);
  const torch::Tensor before = half.weight();
  StepResult first = half.next();
  EXPECT_TRUE(first.skipped);
  EXPECT_TRUE(std::isfinite(first.loss));
  EXPECT_TRUE(torch::equal(half.weight(), before));
  EXPECT_EQ(half.step->optimizer().updates(), 0);
  EXPECT_EQ(half.step->scaler().scale(), 32768);
  // The same images again, until it fits.
  StepResult result = first;
  for (int tries = 0; result.skipped && tries < 10; ++tries) {
    half.stream.emplace(half.source->start(0));
    result = half.next();
  }
  ASSERT_FALSE(result.skipped);
  const StepResult expected = single.next();
  EXPECT_FALSE(expected.skipped);
  EXPECT_EQ(result.loss, expected.loss);
  // The gradient is unscaled again: what fp32 has, to fp16's epsilon.
  EXPECT_NEAR(result.gradient_norm, expected.gradient_norm, 1e-3 * expected.gradient_norm);
  EXPECT_TRUE(torch::allclose(half.moment(), single.moment(), 1e-3));
  EXPECT_EQ(half.step->optimizer().updates(), 1);
}

TEST(Step, SmallGradientsSurviveFp16) {
  // Without scaling they would be below fp16's smallest number, 6e-8.
  Rig half(true, 1e-9f, 0), single(false, 1e-9f, 0);
  EXPECT_FALSE(half.next().skipped);
  single.next();
  EXPECT_GT(single.moment().abs().max().item<float>(), 0);
  EXPECT_LT(single.moment().abs().max().item<float>(), 1e-8);
  EXPECT_TRUE(torch::allclose(half.moment(), single.moment(), 1e-2, 0));
}

TEST(Step, ClippingMeasuresTheUnscaledGradient) {
  Rig half(true, 0.01f, 1e-3), single(false, 0.01f, 1e-3);
  const StepResult result = half.next();
  EXPECT_FALSE(result.skipped);
  EXPECT_GT(result.gradient_norm, 1e-3);
  single.next();
  EXPECT_TRUE(torch::allclose(half.moment(), single.moment(), 1e-3, 0));
  // m = (1 - beta1) g, whose norm is the limit.
  EXPECT_NEAR(half.moment().norm().item<double>(), 0.1 * 1e-3, 1e-7);
}

TEST(Step, AWishToStopIsHandedOn) {
  Rig rig(false, 1, 0);
  EXPECT_FALSE(rig.step->run(*rig.stream, {.lr = 0.1}, false).stop);
  EXPECT_TRUE(rig.step->run(*rig.stream, {.lr = 0.1}, true).stop);
}

// A network's step, with the operators' own memory: some 100 MB, 25,000 pages, of which a step that
// is like the one before takes nothing from the system.
TEST(Step, RepeatsWithoutPageFaults) {
  if (!nn::install_memory_pool()) GTEST_SKIP() << "a sanitizer watches the memory";
  Config config;
  config.num_classes = 10;
  config.embed_dim = 48;
  config.depths = {1, 2};
  nn::AsMlp model(config);
  Optimizer optimizer(*model);
  const auto images = torch::randn({8, 3, 128, 128});
  const auto step = [&] {
    torch::log_softmax(model->forward(images), 1).slice(1, 0, 1).mean().neg().backward();
    optimizer.gradient_norm();
    optimizer.step(1e-4, 1.0);
    optimizer.zero_grad();
  };
  const auto faults = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  const auto begin = faults();
  for (int i = 0; i < 3; ++i) step();
  const auto warm = faults();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_LT(faults() - warm, 1000) << warm - begin << " in the first three steps";
}

}  // namespace
}  // namespace asmlp::train::step_test
