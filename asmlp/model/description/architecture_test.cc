#include "asmlp/model/baselines/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "tests/support/support.h"

namespace asmlp::architecture_test {
namespace {

using testing::HasSubstr;

std::string error_of(const std::string& model, ErrorCode code = ErrorCode::kInvalidArgument) {
  try {
    resolve_architecture(model);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << model << " is accepted";
  return "";
}

// The table of docs/design/baselines.md: parameters as their authors and timm 0.4.12 count them
// (token mixers: by formula), multiply-adds of which Swin's authors print 4.5, 8.7 and 15.4 G.
TEST(Architecture, PublishedNumbers) {
  struct Row {
    const char* name;
    int64_t parameters, multiply_adds;
  };
  const Row kRows[] = {
      {"asmlp_mobile_patch4_shift5_224", 9'597'480, 1'324'756'992},
      {"asmlp_mobile_patch4_global_224", 29'887'508, 2'659'538'944},
      {"asmlp_mobile_patch4_axial_224", 9'614'560, 1'384'466'432},
      {"asmlp_mobile_patch4_window7_224", 8'918'840, 1'258'123'264},
      {"swin_mobile_patch4_window7_224", 9'599'940, 1'396'257'792},
      {"asmlp_tiny_patch4_shift5_224", 28'282'696, 4'358'553'600},
      {"swin_tiny_patch4_window7_224", 28'288'354, 4'494'405'120},
      {"asmlp_small_patch4_shift5_224", 49'594'696, 8'524'867'584},
      {"swin_small_patch4_window7_224", 49'606'258, 8'746'520'064},
      {"asmlp_base_patch4_shift5_224", 87'752'808, 15'142'936'576},
      {"swin_base_patch4_window7_224", 87'768'224, 15'438'473'216},
      {"mixer_s16_224", 18'528'264, 3'778'664'448},
      {"mixer_b16_224", 59'880'472, 12'605'531'136},
      {"resmlp_12_224", 15'350'872, 3'013'427'712},
      {"resmlp_24_224", 30'020'680, 5'968'593'408},
      {"resmlp_36_224", 44'690'488, 8'923'759'104},
  };
  for (const Row& row : kRows) {
    const Architecture architecture = resolve_architecture(row.name);
    EXPECT_EQ(parameter_count(architecture), row.parameters) << row.name;
    EXPECT_EQ(multiply_adds(architecture, 224, 224), row.multiply_adds) << row.name;
  }
}

TEST(Architecture, EveryNameSurvivesJson) {
  for (const auto& name : architecture_names()) {
    Architecture architecture = resolve_architecture(name);
    EXPECT_EQ(architecture.spec.name, name);
    architecture.spec.config.num_classes = 3;
    architecture.spec.config.drop_path = 0.25;
    architecture.spec.classes = {"a", "b", "c"};
    architecture.spec.origin = {{"data", "none"}};
    architecture.spec.preprocessing.crop_pct = 0.9;
    const std::string text = to_json(architecture);
    EXPECT_EQ(architecture_from_json(text, "x"), architecture) << text;
    EXPECT_EQ(to_json(architecture_from_yaml(text, "x")), text);  // JSON is YAML
    EXPECT_EQ(is_as_mlp(architecture), text == asmlp::to_json(architecture.spec));
  }
}

TEST(Architecture, AsMlpIsWhatTheModelLayerSays) {
  const std::string text = R"({"embed_dim": 24, "depths": [1, 2], "num_classes": 4})";
  const auto architecture = architecture_from_json(text, "x");
  EXPECT_TRUE(is_as_mlp(architecture));
  EXPECT_EQ(architecture.spec, spec_from_json(text, "x"));
  EXPECT_EQ(parameter_count(architecture), asmlp::parameter_count(architecture.spec.config));
  EXPECT_EQ(architecture_from_json(R"({"family": "as_mlp", "token_mixer": "axial_shift"})", "x"),
            architecture_from_json("{}", "x"));
}

TEST(Architecture, UserForms) {
  const auto swin = architecture_from_yaml(
      "family: swin\nembed_dim: 12\ndepths: [1, 1]\nnum_heads: [2, 4]\nwindow_size: 4\n"
      "num_classes: 10\nin_chans: 1\npreprocessing: {size: 28}\n",
      "x");
  EXPECT_EQ(std::get<SwinConfig>(swin.family).num_heads, (std::vector<int>{2, 4}));
  EXPECT_EQ(swin.spec.config.in_chans, 1);
  EXPECT_EQ(swin.spec.preprocessing.size, 28);
  EXPECT_EQ(swin.spec.preprocessing.mean.size(), 1u);

  const auto mixer = resolve_architecture(
      R"({"model": "mixer_s16_224", "num_classes": 10, "img_size": 32, "patch_size": 4})");
  EXPECT_EQ(std::get<MlpMixerConfig>(mixer.family), (MlpMixerConfig{512, 8, 4}));
  EXPECT_EQ(mixer.spec.preprocessing.size, 32);
  EXPECT_EQ(mixer.spec.config.drop_path, 0.1);

  const auto window = resolve_architecture(
      R"({"model": "asmlp_mobile_patch4_window7_224", "window_size": 4, "num_classes": 10})");
  EXPECT_EQ(std::get<TokenMixerConfig>(window.family),
            (TokenMixerConfig{TokenMixer::kWindowMlp, 4}));
  EXPECT_EQ(window.spec.name, "asmlp_mobile_patch4_window7_224");
  EXPECT_EQ(window.spec.config.embed_dim, 64);

  const auto global = resolve_architecture(
      R"({"model": "asmlp_mobile_patch4_shift5_224", "token_mixer": "global_mlp"})");
  EXPECT_EQ(global.family, resolve_architecture("asmlp_mobile_patch4_global_224").family);
}

TEST(Architecture, WrongDescriptionsSayWhatIsMeant) {
  EXPECT_THAT(error_of("swin_tini_patch4_window7_224", ErrorCode::kNotFound),
              HasSubstr("did you mean 'swin_tiny_patch4_window7_224'"));
  EXPECT_THAT(error_of(R"({"model": "mixer_b17_224"})", ErrorCode::kNotFound),
              HasSubstr("'mixer_b16_224'"));
  EXPECT_THAT(error_of(R"({"family": "swim"})"), HasSubstr("'swin'"));
  EXPECT_THAT(error_of(R"({"family": "swin", "num_head": [1]})"), HasSubstr("'num_heads'"));
  EXPECT_THAT(error_of(R"({"family": "swin", "shift_size": 5})"), HasSubstr("shift_size"));
  EXPECT_THAT(error_of(R"({"token_mixer": "global"})"), HasSubstr("'global_mlp'"));
  EXPECT_THAT(error_of(R"({"token_mixr": "global_mlp"})"), HasSubstr("'token_mixer'"));
  EXPECT_THAT(error_of(R"({"token_mixer": "global_mlp", "shift_size": 3})"),
              HasSubstr("shift_size"));
  EXPECT_THAT(error_of(R"({"token_mixer": "global_mlp", "connection": "serial"})"),
              HasSubstr("connection"));
  EXPECT_THAT(error_of(R"({"token_mixer": "axial_mlp", "window_size": 4})"),
              HasSubstr("window_size"));
  EXPECT_THAT(error_of(R"({"token_mixer": "global_mlp", "img_size": 1024})"), HasSubstr("tokens"));
  EXPECT_THAT(error_of(R"({"family": "swin", "embed_dim": 10.5})"), HasSubstr("integer"));
  EXPECT_THAT(error_of(R"({"family": "swin", "depths": 2})"), HasSubstr("list of integers"));
  EXPECT_THAT(error_of(R"({"family": "swin", "embed_dim": 32})"), HasSubstr("num_heads is 3"));
  EXPECT_THAT(error_of(R"({"family": "swin", "depths": [2]})"), HasSubstr("num_heads has 4"));
  EXPECT_THAT(error_of(R"({"family": "swin", "model": "mixer_b16_224"})"), HasSubstr("mlp_mixer"));
  EXPECT_THAT(error_of(R"({"family": "swin", "config": {"embed_dim": 96}, "embed_dim": 96})"),
              HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"family": "mlp_mixer", "img_size": 100})"), HasSubstr("patch_size"));
  EXPECT_THAT(error_of(R"({"family": "res_mlp", "depth": -1})"), HasSubstr("depth"));
  EXPECT_THAT(error_of(R"({"family": 7})"), HasSubstr("family"));
}

// Without LibTorch such a description is refused, not misread as an AS-MLP.
TEST(Architecture, TheModelLayerRefusesComparisons) {
  for (const auto& name : architecture_names()) {
    const Architecture architecture = resolve_architecture(name);
    if (is_as_mlp(architecture)) continue;
    try {
      spec_from_json(to_json(architecture), "x");
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << name << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace asmlp::architecture_test
