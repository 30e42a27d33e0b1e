// asmlp convert of the authors' kinds of detector and segmentor files, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/weights/pytorch/pth.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_convert_dense_test {
namespace {

using testing::ElementsAre, testing::HasSubstr;

struct Case {
  const char* checkpoint;  // as mmdetection and mmsegmentation write them
  const char* golden;      // whose description is the checkpoint's, but for its depth
  const char* command;     // that takes the converted file
};

class ConvertDense : public testing::TestWithParam<Case> {
 protected:
  // The description of the checkpoint's network, as a file.
  std::string described() const {
    const auto file = read_safetensors(data("downstream") / GetParam().golden);
    Json json = Json::parse(file.metadata.at("config"));
    json["config"]["backbone"]["depths"] = {1, 1};
    if (json["config"].contains("roi")) json["config"]["roi"]["levels"] = 2;
    json["preprocessing"] = {{"short_side", 32}, {"long_side", 64}};
    std::ofstream(path("network.json")) << json.dump();
    return path("network.json");
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_;
  std::string source_ = data("downstream") / GetParam().checkpoint;
};

TEST_P(ConvertDense, KeepsEveryTensorAndMakesAFileThatDescribesItself) {
  std::ofstream(path("classes.txt")) << "one 0 0 255\ntwo 1,2,3\nthree\t4 5 6\nfour 7 8 9\n";
  const bool four = std::string(GetParam().command) == "segment";
  if (!four) std::ofstream(path("classes.txt")) << "one\ntwo\nthree\n";
  fs::create_directories(path("made"));
  const std::string made = path("made/model.safetensors");
  std::vector<std::string> words{
      "convert",           source_,  made,        "--config", described(), "--class-map",
      path("classes.txt"), "--name", "small_one", "--json"};
  // What no weights show must be said.
  const Outcome silent = run(words);
  EXPECT_EQ(silent.code, 2);
  EXPECT_THAT(silent.err, HasSubstr("shift size"));
  EXPECT_THAT(listing(path("made")), ElementsAre());
  words.insert(words.end(), {"--shift-size", "3"});
  const Outcome outcome = run(words);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_EQ(json["name"], "small_one");
  EXPECT_EQ(json["converted_from"], source_);
  EXPECT_EQ(json["classes"][1], "two");
  if (four) {
    EXPECT_EQ(json["palette"], (Json{"#0000ff", "#010203", "#040506", "#070809"}));
  }
  EXPECT_EQ(json["config"]["backbone"]["shift_size"], (Json{3, 3}));
  EXPECT_THAT(listing(path("made")), ElementsAre("model.safetensors"));

  const TensorMap before = read_pth(source_).tensors, after = read_safetensors(made).tensors;
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, tensor] : before) {
    EXPECT_EQ(to_f32(after.at(name)), to_f32(tensor)) << name;
  }
  // It needs no more words.
  const std::string image = data("photos") / "rocket.jpg";
  const Outcome used = run({GetParam().command, image, "--model", made, "--output", path("out"),
                            "--threads", "1", "--json"});
  ASSERT_EQ(used.code, 0) << used.err;
  EXPECT_EQ(used.json()["model"]["name"], "small_one");
}

TEST_P(ConvertDense, SaysWhatIsWrong) {
  const std::string made = path("model.safetensors");
  // None of the published networks, and nobody says which.
  const Outcome unknown = run({"convert", source_, made, "--shift-size", "5"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("architecture"));
  const Outcome twice = run({"convert", source_, made, "--shift-size", "5", "--config", described(),
                             "--model", "mask_rcnn_asmlp_tiny"});
  EXPECT_EQ(twice.code, 2);
  EXPECT_THAT(twice.err, HasSubstr("--model and --config"));
  std::ofstream(path("classes.txt")) << "one\n";
  const Outcome classes = run({"convert", source_, made, "--shift-size", "5", "--config",
                               described(), "--classes", path("classes.txt")});
  EXPECT_EQ(classes.code, 1);
  EXPECT_THAT(classes.err, HasSubstr("names 1 classes"));
  EXPECT_FALSE(fs::exists(made));
}

INSTANTIATE_TEST_SUITE_P(All, ConvertDense,
                         testing::Values(Case{"mmdet.pth", "mask_rcnn.safetensors", "detect"},
                                         Case{"mmseg.pth", "upernet.safetensors", "segment"}),
                         [](const auto& info) { return std::string(info.param.command); });

}  // namespace
}  // namespace asmlp::test::cli_convert_dense_test
