// The two execution paths against each other, where no golden data exists: every padding, dilation,
// shift size per axis, connection, odd image sizes.
#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "asmlp/engine/engine.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/weights/fill.h"
#include "tests/support/random_config.h"
#include "tests/support/support.h"

namespace asmlp::test::torch_engine_test {
namespace {

const ConfigChoices kChoices{.in_chans = {1, 3},
                             .num_classes = {1, 6, 19},
                             .embed_dim = {4, 9, 16, 24},
                             .stages = {1, 2, 3, 4},
                             .blocks = {1, 2},
                             .patch_size = {1, 2, 4},
                             .mlp_ratio = {1, 2, 4},
                             .shift_h = {1, 3, 5, 7},
                             .shift_w = {1, 3, 4, 9},
                             .dilation = {1, 2, 3}};

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
    spec.config = random_config(random, kChoices);
    spec.preprocessing = default_preprocessing(spec.config, 8);
    const int h = 2 + random() % 40, w = 2 + random() % 40, batch = 1 + random() % 3;
    SCOPED_TRACE(testing::Message()
                 << "case " << i << ": " << to_json(spec) << " on " << h << " x " << w);
    const TensorMap weights = fill_parameters(spec.config);
    const Shape shape{batch, spec.config.in_chans, h, w};
    const auto input = to_f32(fill_tensor("input", shape));

    nn::AsMlp module(spec.config);
    module->eval();
    nn::load_parameters(*module, weights);
    const auto torch_features = module->forward_features(as_torch(input, shape));
    const auto torch_logits = module->forward_head(torch_features.back()).contiguous();

    Engine engine(PackedModel::create(spec, weights),
                  {.height = h, .width = w, .max_batch = batch, .features = true});
    engine.run(input, batch);
    ASSERT_EQ(torch_features.size(), static_cast<size_t>(engine.num_features()));
    const auto compare = [&](std::span<const float> native, const torch::Tensor& other) {
      const double error =
          relative_error(native, {other.data_ptr<float>(), static_cast<size_t>(other.numel())});
      worst = std::max(worst, error);
      return error;
    };
    for (int k = 0; k < engine.num_features(); ++k) {
      ASSERT_EQ(torch_features[k].sizes().vec(), engine.feature_shape(k));
      std::vector<float> feature(torch_features[k].numel());
      engine.copy_feature(k, feature);
      EXPECT_LE(compare(feature, torch_features[k].contiguous()), 2e-5) << "feature " << k;
    }
    // Two fp32 paths with different summation orders. Logits can cancel to near zero (one class),
    // so they are held to the magnitude of what the head sums up.
    EXPECT_LE(compare(engine.logits(), torch_logits), 1e-4);
  }
  std::printf("parity native-torch random configs %.2e\n", worst);
}

}  // namespace
}  // namespace asmlp::test::torch_engine_test
