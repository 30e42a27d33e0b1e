#include "asmlp/model/params.h"

#include <gtest/gtest.h>

#include <set>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"

namespace asmlp::params_test {
namespace {

struct Published {
  const char* name;
  int64_t parameters;
  int64_t multiply_adds;
};

// The authors' own counts, from their module and its flops().
constexpr Published kPublished[] = {
    {"asmlp_mobile_patch4_shift5_224", 9'597'480, 1'324'756'992},
    {"asmlp_tiny_patch4_shift5_224", 28'282'696, 4'358'553'600},
    {"asmlp_small_patch4_shift5_224", 49'594'696, 8'524'867'584},
    {"asmlp_base_patch4_shift5_224", 87'752'808, 15'142'936'576},
    {"asmlp_base_patch4_shift5_384", 87'752'808, 44'499'705'856},
};

TEST(Zoo, HasThePublishedCounts) {
  std::vector<std::string> names;
  for (const Published& published : kPublished) {
    names.emplace_back(published.name);
    const ModelSpec spec = zoo_model(published.name);
    const int size = spec.preprocessing.size;
    EXPECT_EQ(parameter_count(spec.config), published.parameters) << published.name;
    EXPECT_EQ(multiply_adds(spec.config, size, size), published.multiply_adds) << published.name;
    EXPECT_NO_THROW(validate(spec));
  }
  EXPECT_EQ(zoo_names(), names);
}

TEST(Zoo, IgnoresTheTagAndSuggestsTheNearest) {
  EXPECT_EQ(zoo_model("asmlp_tiny_patch4_shift5_224.svip_in1k").name,
            "asmlp_tiny_patch4_shift5_224");
  try {
    zoo_model("asmlp_tinny_patch4_shift5_224");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("'asmlp_tiny_patch4_shift5_224'"), std::string::npos);
  }
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(ParameterTable, IsTheOfficialStateDictsOfASmallModel) {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 0};
  config.num_classes = 7;
  std::vector<std::string> lines;
  for (const Param& param : parameter_table(config)) {
    lines.push_back(param.name + " " + to_string(param.shape));
  }
  const std::vector<std::string> expected{
      "patch_embed.proj.weight [8, 3, 4, 4]",
      "patch_embed.proj.bias [8]",
      "patch_embed.norm.weight [8]",
      "patch_embed.norm.bias [8]",
      "layers.0.blocks.0.norm1.weight [8]",
      "layers.0.blocks.0.norm1.bias [8]",
      "layers.0.blocks.0.axial_shift.conv1.weight [8, 8, 1, 1]",
      "layers.0.blocks.0.axial_shift.conv1.bias [8]",
      "layers.0.blocks.0.axial_shift.conv2_1.weight [8, 8, 1, 1]",
      "layers.0.blocks.0.axial_shift.conv2_1.bias [8]",
      "layers.0.blocks.0.axial_shift.conv2_2.weight [8, 8, 1, 1]",
      "layers.0.blocks.0.axial_shift.conv2_2.bias [8]",
      "layers.0.blocks.0.axial_shift.conv3.weight [8, 8, 1, 1]",
      "layers.0.blocks.0.axial_shift.conv3.bias [8]",
      "layers.0.blocks.0.axial_shift.norm1.weight [8]",
      "layers.0.blocks.0.axial_shift.norm1.bias [8]",
      "layers.0.blocks.0.axial_shift.norm2.weight [8]",
      "layers.0.blocks.0.axial_shift.norm2.bias [8]",
      "layers.0.blocks.0.norm2.weight [8]",
      "layers.0.blocks.0.norm2.bias [8]",
      "layers.0.blocks.0.mlp.fc1.weight [32, 8, 1, 1]",
      "layers.0.blocks.0.mlp.fc1.bias [32]",
      "layers.0.blocks.0.mlp.fc2.weight [8, 32, 1, 1]",
      "layers.0.blocks.0.mlp.fc2.bias [8]",
      "layers.0.downsample.reduction.weight [16, 32, 1, 1]",
      "layers.0.downsample.norm.weight [32]",
      "layers.0.downsample.norm.bias [32]",
      "norm.weight [16]",
      "norm.bias [16]",
      "head.weight [7, 16]",
      "head.bias [7]"};
  EXPECT_EQ(lines, expected);
  config.patch_norm = false;
  config.num_classes = 0;
  EXPECT_EQ(parameter_table(config).size(), expected.size() - 4);
}

}  // namespace
}  // namespace asmlp::params_test
