#include "asmlp/model/description/model_name.h"

#include <gtest/gtest.h>

#include "tests/support/support.h"

namespace asmlp::model_name_test {
namespace {

// The name of a user's description in JSON, which has none.
std::string name_from(const std::string& json) {
  return model_name(description_from_json(json, "test"));
}

TEST(ModelName, IsTheDescriptionsOwnWhereThereIsOne) {
  EXPECT_EQ(name_from(R"({"name": "mine.set", "embed_dim": 96})"), "mine.set");
}

// Such a model was trained to a file called ".toy".
TEST(ModelName, ComesFromTheSizes) {
  EXPECT_EQ(name_from(R"({"embed_dim": 24, "depths": [1, 2, 1]})"), "asmlp_e24_d1-2-1_p4_s5");
  EXPECT_EQ(name_from(R"({"embed_dim": 8, "depths": [1], "patch_size": 2, "shift_size": [5, 3]})"),
            "asmlp_e8_d1_p2_s5x3");
  EXPECT_EQ(
      name_from(R"({"token_mixer": "global_mlp", "config": {"embed_dim": 8, "depths": [1]}})"),
      "asmlp_e8_d1_p4_global_mlp");
  EXPECT_EQ(name_from(R"({"family": "swin", "config": {"embed_dim": 12, "depths": [1, 1],
                          "num_heads": [1, 2]}})"),
            "swin_e12_d1-1_p4_w7");
  EXPECT_EQ(name_from(R"({"family": "res_mlp", "config": {"depth": 3}})"), "res_mlp_e384_d3_p16");
  EXPECT_EQ(name_from(R"({"task": "detect", "config": {"kind": "cascade", "stages": [{}, {}],
                          "backbone": {"embed_dim": 16, "depths": [1, 1, 1, 1], "shift_size": 3}}})"),
            "cascade_asmlp_e16_d1-1-1-1_p4_s3");
  EXPECT_EQ(name_from(R"({"task": "segment", "config": {
                          "backbone": {"embed_dim": 16, "depths": [1, 1, 1, 1], "shift_size": 5}}})"),
            "upernet_asmlp_e16_d1-1-1-1_p4_s5");
}

TEST(ModelName, OfAPublishedNetworkIsThePublishedName) {
  for (const std::string& name : model_names()) {
    Description description = named_description(name);
    std::visit(
        [](auto& model) {
          auto& spec = [&]() -> auto& {
            if constexpr (requires { model.spec; }) {
              return model.spec;
            } else {
              return model;
            }
          }
          ();
          spec.name.clear();
          spec.config.num_classes = 7;
        },
        description.model);
    EXPECT_EQ(model_name(description), name);
  }
}

}  // namespace
}  // namespace asmlp::model_name_test
