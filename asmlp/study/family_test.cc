#include "asmlp/study/family.h"

#include <gtest/gtest.h>

namespace asmlp::study::family_test {
namespace {

TEST(StudyFamily, IsReadFromTheModelOfTheOptions) {
  const auto family = [](const char* model) {
    return family_of({{"model", nlohmann::json::parse(model)}});
  };
  EXPECT_EQ(family_of(nlohmann::json::object()), "AS-MLP");
  EXPECT_EQ(family(R"("swin_mobile_patch4_window7_224")"), "Swin");
  EXPECT_EQ(family(R"({"model": "swin_mobile_patch4_window7_224"})"), "Swin");
  EXPECT_EQ(family(R"({"config": {"embed_dim": 8, "depths": [1, 1]}})"), "AS-MLP");
  EXPECT_EQ(family(R"({"token_mixer": "axial_mlp", "config": {"embed_dim": 8, "depths": [1, 1]}})"),
            "axial_mlp");
  EXPECT_EQ(family(R"({"family": "res_mlp", "config": {"embed_dim": 16}})"), "ResMLP");
  EXPECT_EQ(family(R"({"config": {"embed_dim": -1}})"), "");
  EXPECT_EQ(family(R"("weights.safetensors")"), "");
}

}  // namespace
}  // namespace asmlp::study::family_test
