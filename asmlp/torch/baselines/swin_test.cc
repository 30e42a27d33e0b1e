#include "asmlp/torch/baselines/swin.h"

#include <gtest/gtest.h>

#include "asmlp/model/description/description.h"
#include "asmlp/torch/baselines/make_classifier.h"

namespace asmlp::nn::swin_test {
namespace {

TEST(Swin, InitializationFollowsTheAuthors) {
  torch::manual_seed(8);
  const auto model = make_classifier(architecture_from_json(
      R"({"family": "swin", "embed_dim": 64, "depths": [1, 1], "num_heads": [2, 4]})", "x"));
  const auto parameters = model->named_parameters();
  for (const char* name : {"layers.0.blocks.0.attn.qkv.weight", "layers.1.blocks.0.mlp.fc1.weight",
                           "layers.0.downsample.reduction.weight", "head.weight",
                           "layers.0.blocks.0.attn.relative_position_bias_table"}) {
    EXPECT_NEAR(parameters[name].std().item<double>(), 0.02, 0.003) << name;
  }
  EXPECT_EQ(parameters["layers.0.blocks.0.attn.qkv.bias"].abs().max().item<double>(), 0);
  EXPECT_EQ(parameters["norm.weight"].min().item<double>(), 1);
}

}  // namespace
}  // namespace asmlp::nn::swin_test
