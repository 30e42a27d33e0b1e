#include "asmlp/torch/optim/param_groups.h"

#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/nn/backbone.h"

namespace asmlp::train::param_groups_test {
namespace {

Config small_config() {
  Config config;
  config.in_chans = 1;
  config.num_classes = 3;
  config.embed_dim = 4;
  config.depths = {1, 2, 1};
  return config;
}

// A network that has a backbone beside a head, as detectors and segmentors.
struct DenseImpl : torch::nn::Module {
  DenseImpl() {
    Config config = small_config();
    config.num_classes = 0;
    register_module("backbone", nn::Backbone(config));
    register_module("decode_head", torch::nn::Linear(2, 2));
  }
};
TORCH_MODULE(Dense);

// timm's formula: decay^(number of layers - layer), the patch embedding being layer 0, the blocks 1
// to 4, the last norm and the head 5.
TEST(ParamGroups, TheRateOfABlockIsAShareOfTheNextOnes) {
  const nn::AsMlp model(small_config());
  const auto scales = layer_scales(*model, 0.5);
  EXPECT_EQ(scales.size(), model->named_parameters().size());
  const auto expect = [&](const char* name, int layer) {
    EXPECT_DOUBLE_EQ(scales.at(name), std::pow(0.5, 5 - layer)) << name;
  };
  expect("patch_embed.proj.weight", 0);
  expect("patch_embed.norm.bias", 0);
  expect("layers.0.blocks.0.mlp.fc1.weight", 1);
  expect("layers.0.downsample.reduction.weight", 1);
  expect("layers.1.blocks.0.axial_shift.conv1.bias", 2);
  expect("layers.1.blocks.1.norm1.weight", 3);
  expect("layers.1.downsample.norm.weight", 3);
  expect("layers.2.blocks.0.mlp.fc2.bias", 4);
  expect("norm.weight", 5);
  expect("head.weight", 5);
  const auto dense = layer_scales(*Dense(), 0.5);
  EXPECT_EQ(dense.at("backbone.layers.1.blocks.1.norm1.weight"), 0.25);
  EXPECT_EQ(dense.at("backbone.norm0.weight"), 1);
  EXPECT_EQ(dense.at("decode_head.weight"), 1);
  for (const auto& [name, scale] : layer_scales(*model, 1)) EXPECT_EQ(scale, 1) << name;
}

TEST(ParamGroups, FrozenIsTheStartOfTheNetwork) {
  nn::AsMlp model(small_config());
  freeze_stages(*model, 2);
  Dense dense;
  freeze_stages(*dense, 1);
  const auto frozen = [](const torch::nn::Module& module) {
    std::string names;
    for (const auto& item : module.named_parameters()) {
      if (item.value().requires_grad()) continue;
      const std::string name = item.key().substr(0, item.key().rfind('.'));
      if (names.find(name + ' ') == std::string::npos) names += name + ' ';
    }
    return names;
  };
  const std::string classifier = frozen(*model);
  for (const char* name : {"patch_embed.proj ", "layers.0.blocks.0.norm1 ",
                           "layers.1.blocks.1.mlp.fc2 ", "layers.1.downsample.reduction "}) {
    EXPECT_NE(classifier.find(name), std::string::npos) << name;
  }
  EXPECT_EQ(classifier.find("layers.2"), std::string::npos);
  EXPECT_EQ(classifier.find("head"), std::string::npos);
  const std::string detector = frozen(*dense);
  EXPECT_NE(detector.find("backbone.norm0 "), std::string::npos);
  EXPECT_EQ(detector.find("backbone.norm1 "), std::string::npos);
  EXPECT_EQ(detector.find("backbone.layers.1"), std::string::npos);

  model->train();
  set_frozen_to_evaluation(*model, 2);
  const auto training = [&](const char* name) {
    return model->named_modules()[name]->is_training();
  };
  EXPECT_FALSE(training("layers.0.blocks.0"));
  EXPECT_FALSE(training("layers.1.blocks.1"));
  EXPECT_TRUE(training("layers.2.blocks.0"));
  EXPECT_TRUE(training("norm"));

  EXPECT_THROW(freeze_stages(*model, 4), Error);
}

}  // namespace
}  // namespace asmlp::train::param_groups_test
