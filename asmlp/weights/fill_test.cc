#include "asmlp/weights/fill.h"

#include <cmath>

#include "asmlp/model/params.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace asmlp::fill_test {
namespace {

TEST(FillRule, ReproducesTheGoldenInputs) {
  for (const std::string tag : {"c8_shift5", "c16_shift7_rect", "c20_shift3_mlp2", "c24_shift5"}) {
    const TensorFile file = read_safetensors(test::data("golden/model_" + tag + ".safetensors"));
    const Tensor& input = file.tensors.at("input");
    EXPECT_TRUE(test::same_tensor(fill_tensor("input." + tag, input.shape), input)) << tag;
  }
}

// The exact values of parameters are compared in checkpoint_test.cc, with a file made by Python.
TEST(FillRule, KeepsToItsRanges) {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 1, 1, 1};
  config.num_classes = 7;
  const TensorMap tensors = fill_parameters(config);
  EXPECT_EQ(tensors.size(), parameter_table(config).size());
  const auto range = [&](const char* name, double middle, double width) {
    for (float value : to_f32(tensors.at(name))) {
      EXPECT_LE(std::abs(value - middle), width) << name;
    }
  };
  range("head.bias", 0.0, 0.1);
  range("norm.weight", 1.0, 0.2);
  range("patch_embed.proj.weight", 0.0, std::sqrt(3.0 / 48));
  EXPECT_EQ(fill_tensor("x", {}).shape, Shape{});
  EXPECT_TRUE(fill_tensor("x", {0, 3}).bytes.empty());
}

}  // namespace
}  // namespace asmlp::fill_test
