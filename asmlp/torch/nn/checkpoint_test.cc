#include "asmlp/torch/nn/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/ops/autocast.h"

namespace asmlp::nn::checkpoint_test {
namespace {

Config small_config() {
  Config config;
  config.num_classes = 5;
  config.embed_dim = 16;
  config.depths = {2, 3};
  config.drop_path = 0.5;
  return config;
}

torch::Tensor some_images(int64_t count) {
  torch::manual_seed(5);
  return torch::randn({count, 3, 40, 40});
}

// Loss and gradients of a model in training, and the generator's next number.
std::vector<torch::Tensor> results(AsMlpImpl& model, bool checkpointing, torch::ScalarType type) {
  model.set_checkpointing(checkpointing);
  model.train();
  model.zero_grad();
  const torch::Tensor images = some_images(6);
  torch::manual_seed(11);
  torch::Tensor loss;
  {
    const AutocastGuard autocast(torch::kCPU, type);
    loss = model.forward(images).to(torch::kFloat).square().mean();
  }
  loss.backward();
  std::vector<torch::Tensor> values{loss.detach(), torch::rand({1})};
  for (const auto& parameter : model.parameters()) values.push_back(parameter.grad().clone());
  return values;
}

TEST(Checkpoint, GradientsAndRandomNumbersKeepTheirBits) {
  torch::manual_seed(3);
  AsMlp model(small_config());
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const auto kept = results(*model, false, type), again = results(*model, true, type);
    ASSERT_EQ(kept.size(), again.size());
    for (size_t i = 0; i < kept.size(); ++i) {
      EXPECT_TRUE(torch::equal(kept[i], again[i])) << i << ' ' << type;
    }
    // Drop path is drawn, so the comparison can fail.
    torch::manual_seed(12);
    EXPECT_FALSE(torch::equal(kept[0], model->forward(some_images(6)).square().mean()));
  }
}

TEST(Checkpoint, AccumulatesLikeAnyGradient) {
  torch::manual_seed(3);
  AsMlp model(small_config());
  const auto once = results(*model, true, torch::kFloat);
  const torch::Tensor images = some_images(6);
  torch::manual_seed(11);
  model->forward(images).square().mean().backward();  // a second time, the same
  size_t i = 2;
  for (const auto& parameter : model->parameters()) {
    EXPECT_TRUE(torch::equal(parameter.grad(), once[i++] * 2));
  }
}

TEST(Checkpoint, WithoutGradientItIsTheBlock) {
  torch::manual_seed(3);
  AsMlp model(small_config());
  model->eval();
  const torch::NoGradGuard no_grad;
  const auto expected = model->forward(some_images(2));
  model->set_checkpointing(true);
  EXPECT_TRUE(torch::equal(model->forward(some_images(2)), expected));
}

TEST(Checkpoint, TheGradientCannotBeDifferentiatedAgain) {
  const auto w = torch::rand({3}, torch::requires_grad());
  const auto x = torch::rand({3}, torch::requires_grad());
  const auto y = checkpoint([&](const torch::Tensor& in) { return in * w * w; }, x, {w});
  try {
    torch::autograd::grad({y.sum()}, {w}, {}, /*retain_graph=*/true, /*create_graph=*/true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("grad-checkpointing"));
  }
  EXPECT_TRUE(torch::allclose(torch::autograd::grad({y.sum()}, {w})[0], 2 * x * w));
}

// What the process holds from the heap.
double megabytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return double(info.uordblks + info.hblkhd) / (1 << 20);
}

TEST(Checkpoint, TheGraphHoldsTheInputsOfBlocksOnly) {
  Config config = small_config();
  config.depths = {8};
  AsMlp model(config);
  const torch::Tensor images = torch::randn({4, 3, 128, 128});
  double held[2];
  for (const bool checkpointing : {false, true}) {
    model->set_checkpointing(checkpointing);
    model->forward(images).sum().backward();  // gradients and the threads' buffers exist from now
    const double before = megabytes_in_use();
    const torch::Tensor loss = model->forward(images).sum();
    held[checkpointing] = megabytes_in_use() - before;
    RecordProperty(checkpointing ? "checkpointing" : "kept", std::to_string(held[checkpointing]));
  }
  // A block keeps at least its 16-channel maps after two norms, four projections and two GELUs and
  // the 64-channel one of the MLP: more than 8 maps where one is left.
  EXPECT_GT(held[0], 4 * held[1]);
  // 8 inputs of 4 x 32 x 32 x 16 floats are 2 MB; the rest is the embedding and the head.
  EXPECT_LT(held[1], 8);
}

}  // namespace
}  // namespace asmlp::nn::checkpoint_test
