#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/model/description/description.h"
#include "asmlp/model/zoo.h"
#include "tests/support/support.h"

namespace asmlp::authors_config_test {
namespace {

ModelSpec read(const std::string& yaml) { return spec_from_yaml(yaml, "config.yaml"); }

TEST(AuthorsConfig, IsTheModelItDescribes) {
  const ModelSpec spec = read(R"(
DATA: {IMG_SIZE: 384, INTERPOLATION: bilinear, BATCH_SIZE: 64}
TEST: {CROP: false}
TRAIN: {EPOCHS: 300, BASE_LR: 0.001}
MODEL:
  TYPE: AS-MLP
  NAME: mine
  NUM_CLASSES: 7
  DROP_PATH_RATE: 0.3
  AS_MLP:
    EMBED_DIM: 64
    DEPTHS: [1, 2, 3]
    SHIFT_SIZE: 7
    PATCH_SIZE: 2
    IN_CHANS: 1
    MLP_RATIO: 2.0
    PATCH_NORM: false
)");
  EXPECT_EQ(spec.name, "mine");
  EXPECT_EQ(spec.config.embed_dim, 64);
  EXPECT_EQ(spec.config.depths, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(spec.config.shift_size, (ShiftSize{7, 7}));
  EXPECT_EQ(spec.config.patch_size, 2);
  EXPECT_EQ(spec.config.in_chans, 1);
  EXPECT_EQ(spec.config.mlp_ratio, 2.0);
  EXPECT_FALSE(spec.config.patch_norm);
  EXPECT_EQ(spec.config.num_classes, 7);
  EXPECT_EQ(spec.config.drop_path, 0.3);
  EXPECT_EQ(spec.preprocessing.size, 384);
  EXPECT_EQ(spec.preprocessing.interpolation, Interpolation::kBilinear);
  EXPECT_EQ(spec.preprocessing.crop_pct, 1.0);
}

TEST(AuthorsConfig, LeavesOutWhatThePublishedModelsHave) {
  const ModelSpec spec = read("MODEL: {TYPE: asmlp, ASMLP: {EMBED_DIM: 96}}");
  Config tiny = zoo_model("asmlp_tiny_patch4_shift5_224").config;
  tiny.drop_path = 0;
  EXPECT_EQ(spec.config, tiny);
  EXPECT_EQ(spec.preprocessing, ModelSpec().preprocessing);
}

TEST(AuthorsConfig, OfAnotherFormIsRefusedWithTheNearestKey) {
  const auto refuse = [](const std::string& yaml, const char* word) {
    const std::string message = test::error_of([&] { read(yaml); }).what();
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  refuse("MODEL: {ASMLP: {EMBED_DIMM: 8}}", "'EMBED_DIM'");
  refuse("MODEL: {NUM_CLASES: 8}", "'NUM_CLASSES'");
  refuse("MODEL: {NUM_CLASSES: 8}\nDATTA: {}", "'DATA'");
  refuse("MODEL: {NUM_CLASSES: 8}\nDATA: {IMG_SISE: 8}", "'IMG_SIZE'");
  refuse("MODEL: {SWIN: {EMBED_DIM: 96}}", "another network");
  refuse("MODEL: {TYPE: swin}", "'swin'");
  refuse("MODEL: {ASMLP: {}, AS_MLP: {}}", "two sections");
  refuse("MODEL: {ASMLP: {EMBED_DIM: many}}", "embed_dim");
}

}  // namespace
}  // namespace asmlp::authors_config_test
