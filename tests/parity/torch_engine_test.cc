// The two execution paths against each other, where no golden data exists: every padding, dilation,
// shift size per axis, connection, odd image sizes.
#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "asmlp/engine/engine.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/nn/runtime.h"
#include "asmlp/weights/fill.h"
#include "tests/support.h"

namespace asmlp::test {
namespace {

Config random_config(std::mt19937& random) {
  const auto pick = [&](std::vector<int> values) { return values[random() % values.size()]; };
  Config config;
  config.in_chans = pick({1, 3});
  config.num_classes = pick({1, 6, 19});
  config.embed_dim = pick({4, 9, 16, 24});
  config.depths.clear();
  for (int stages = pick({1, 2, 3, 4}); stages > 0; --stages) config.depths.push_back(pick({1, 2}));
  config.patch_size = pick({1, 2, 4});
  config.mlp_ratio = pick({1, 2, 4});
  config.shift_size = {pick({1, 3, 5, 7}), pick({1, 3, 4, 9})};
  config.dilation = pick({1, 2, 3});
  config.padding = static_cast<Padding>(random() % 4);
  config.connection = static_cast<Connection>(random() % 2);
  config.patch_norm = random() % 4 != 0;
  return config;
}

torch::Tensor as_torch(std::vector<float> values, const Shape& shape) {
  return torch::from_blob(values.data(), shape).clone();
}

TEST(TwoPaths, AgreeOnRandomConfigs) {
  nn::configure_runtime();
  torch::NoGradGuard no_grad;
  std::mt19937 random(7);
  double worst = 0;
  for (int i = 0; i < 60; ++i) {
    ModelSpec spec;
    spec.name = "random";
    spec.config = random_config(random);
    spec.preprocessing = default_preprocessing(spec.config, 8);
    const int h = 2 + random() % 40, w = 2 + random() % 40, batch = 1 + random() % 3;
    SCOPED_TRACE(testing::Message() << "case " << i << ": " << to_json(spec) << " on " << h << " x "
                                    << w);
    const TensorMap weights = fill_parameters(spec.config);
    const Shape shape{batch, spec.config.in_chans, h, w};
    const auto input = to_f32(fill_tensor("input", shape));

    nn::AsMlp module(spec.config);
    module->eval();
    nn::load_parameters(*module, weights);
    const auto torch_features = module->forward_features(as_torch(input, shape));
    const auto torch_logits = module->forward_head(torch_features.back()).contiguous();

    Engine engine(Model::create(spec, weights),
                  {.height = h, .width = w, .max_batch = batch, .features = true});
    engine.run(input, batch);
    ASSERT_EQ(torch_features.size(), static_cast<size_t>(engine.num_features()));
    const auto compare = [&](std::span<const float> native, const torch::Tensor& other) {
      const double error = relative_error(
          native, {other.data_ptr<float>(), static_cast<size_t>(other.numel())});
      worst = std::max(worst, error);
      return error;
    };
    for (int k = 0; k < engine.num_features(); ++k) {
      ASSERT_EQ(torch_features[k].sizes().vec(), engine.feature_shape(k));
      std::vector<float> feature(torch_features[k].numel());
      engine.copy_feature(k, feature);
      EXPECT_LE(compare(feature, torch_features[k].contiguous()), 2e-5) << "feature " << k;
    }
    // Two fp32 paths with different summation orders. Logits can cancel to near zero (one class), so
    // they are held to the magnitude of what the head sums up.
    EXPECT_LE(compare(engine.logits(), torch_logits), 1e-4);
  }
  std::printf("parity native-torch random configs %.2e\n", worst);
}

}  // namespace
}  // namespace asmlp::test
