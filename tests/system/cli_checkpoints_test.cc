// Checkpoints of other programs through the command: the same logits whatever they are wrapped in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"
#include "tests/support/weight_files.h"

namespace asmlp::test::cli_checkpoints_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Checkpoints : public testing::Test {
 protected:
  static std::string file(const std::string& name) { return data("checkpoints/" + name); }
  std::string path(const char* name) const { return folder_.path() / name; }
  TensorMap forward(const std::string& name) {
    const std::string out = path("y.safetensors");
    const Outcome outcome = run(
        {"forward", "--model", file(name), "--input", file("input.safetensors"), "--output", out});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code == 0 ? read_safetensors(out).tensors : TensorMap();
  }
  TemporaryFolder folder_;
};

TEST_F(Checkpoints, OfEveryKindGiveTheLogitsOfThePlainOne) {
  const TensorMap expected = forward("plain_reference.pth");
  ASSERT_TRUE(expected.contains("logits"));
  for (const char* name :
       {"zip_protocol3.pth", "legacy_protocol4.pth", "model_state_dict_key.pth",
        "lightning_model_prefix.ckpt", "module_prefix.safetensors", "orig_mod_prefix.safetensors",
        "sharded", "sharded/model.safetensors.index.json", "range_in_meta.pth", "deque_in_meta.pth",
        "whole_module.pth", "inert_objects.pth", "averaged_legacy.pth"}) {
    SCOPED_TRACE(name);
    expect_same_tensors(forward(name), expected);
  }
}

TEST_F(Checkpoints, WithWeightsThatAreNotFiniteAreRefused) {
  const std::string nan = file("nan_weights.pth"), photo = data("photos/chelsea.png");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"predict", photo, "--model", nan, "--img-size", "32"},
           {"convert", nan, path("x.safetensors")},
           {"forward", "--model", nan, "--input", file("input.safetensors"), "--output",
            path("y.safetensors")}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 1) << words[0];
    EXPECT_THAT(outcome.err, HasSubstr("not finite")) << words[0];
  }
  EXPECT_TRUE(listing(folder_.path()).empty());
  const Outcome info = run({"info", nan});
  EXPECT_EQ(info.code, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("not finite"));
}

TEST_F(Checkpoints, OfMmdetectionKeepTheirClassNames) {
  for (const char* name : {"meta_CLASSES.pth", "dataset_meta_classes.pth"}) {
    const Outcome outcome =
        run({"convert", file(std::string("mmdet_class_names/") + name), path("x.safetensors"),
             "--config", file("mmdet_class_names/arch.yaml"), "--shift-size", "5", "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.json()["classes"][0], "shirt");
    EXPECT_EQ(outcome.json()["classes"][9], "boot");
  }
}

TEST_F(Checkpoints, AreDescribedByTheAuthorsConfigFiles) {
  const Json json = run({"info", file("nested_config.yaml"), "--json"}).json()["model"];
  EXPECT_EQ(json["config"]["embed_dim"], 8);
  EXPECT_EQ(json["config"]["depths"], (std::vector<int>{1, 1}));
  EXPECT_EQ(json["config"]["num_classes"], 5);
  EXPECT_EQ(json["config"]["shift_size"], (std::vector<int>{3, 3}));
  std::ofstream(path("wrong.yaml")) << "MODEL:\n  AS_MLP:\n    EMBED_DIMM: 8\n";
  EXPECT_THAT(run({"info", path("wrong.yaml")}).err,
              AllOf(HasSubstr("'EMBED_DIMM'"), HasSubstr("'EMBED_DIM'")));
  const Outcome outcome = run({"forward", "--weights", file("plain_reference.pth"), "--config",
                               file("nested_config.yaml"), "--input", file("input.safetensors"),
                               "--output", path("y.safetensors")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // It says shift size 3; without it, 5 is assumed.
  const TensorMap described = read_safetensors(path("y.safetensors")).tensors;
  EXPECT_FALSE(same_tensor(described.at("logits"), forward("plain_reference.pth").at("logits")));
}

TEST_F(Checkpoints, ClassNamesCannotCommandTheTerminal) {
  const std::string model = file("escape_classes.safetensors"), photo = data("photos/chelsea.png");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"info", model}, {"predict", "-m", model, photo}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out + outcome.err, AllOf(Not(HasSubstr("\x1b")), HasSubstr("\\x1b")));
  }
  // JSON has its own escapes and loses nothing.
  EXPECT_THAT(run({"info", model, "--json"}).out,
              AllOf(Not(HasSubstr("\x1b")), HasSubstr("\\u001b")));
}

TEST_F(Checkpoints, ClassMapsFromWindowsAreRead) {
  const std::string model = write_model(path("m.safetensors")), photo = data("photos/chelsea.png");
  const std::string map = path("classes.txt");
  std::ofstream(map) << "\xef\xbb\xbf"
                        "class0\r\nclass1  \r\nclass2\t\nclass 3\nclass4\n\n";
  const Json json =
      run({"predict", photo, "--model", model, "--class-map", map, "--json", "--topk", "5"}).json();
  std::vector<std::string> labels;
  for (const Json& top : json["images"][0]["predictions"]) labels.push_back(top["label"]);
  EXPECT_THAT(labels,
              testing::UnorderedElementsAre("class0", "class1", "class2", "class 3", "class4"));
}

TEST_F(Checkpoints, OfAThousandClassesWithoutNamesHaveImageNets) {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 1};
  config.num_classes = 1000;
  write_safetensors(path("m.safetensors"), fill_parameters(config));
  const Outcome info = run({"info", path("m.safetensors"), "--json"});
  EXPECT_EQ(info.json()["model"]["classes"][0], "tench");
  EXPECT_EQ(info.json()["model"]["classes"][999], "toilet tissue");
  EXPECT_THAT(info.json()["model"]["notes"].dump(), HasSubstr("ImageNet's"));
  const Outcome predict = run({"predict", data("photos/chelsea.png"), "--model",
                               path("m.safetensors"), "--img-size", "32"});
  EXPECT_EQ(predict.code, 0) << predict.err;
  EXPECT_THAT(predict.err, HasSubstr("ImageNet's"));
  EXPECT_THAT(predict.out, Not(HasSubstr("class ")));
}

}  // namespace
}  // namespace asmlp::test::cli_checkpoints_test
