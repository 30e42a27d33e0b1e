// asmlp convert to ONNX files, as a user runs it. (What the graphs compute:
// tests/parity/onnx_test.py.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command.h"

namespace asmlp::test::cli_convert_onnx_test {
namespace {

using testing::ElementsAre, testing::HasSubstr, testing::IsEmpty;

class ConvertOnnx : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_;
  std::string model_ = write_model(folder_.path() / "model.safetensors");
  std::string out_ = path("made/model.onnx");
  void SetUp() override {
    fs::create_directories(path("made"));
    if (run({"convert", model_, out_}).err.find("built without ONNX") != std::string::npos) {
      GTEST_SKIP() << "this build has no ONNX";
    }
    fs::remove(out_);
  }
};

TEST_F(ConvertOnnx, SaysWhatTheGraphTakesAndGives) {
  const Outcome outcome = run({"convert", model_, out_, "--features", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_EQ(json["format"], "onnx");
  EXPECT_EQ(json["file"], out_);
  EXPECT_EQ(json["file_bytes"], fs::file_size(out_));
  EXPECT_EQ(json["inputs"],
            Json::parse(R"([{"name": "input", "shape": "[N, 3, H, W]", "type": "float32"}])"));
  ASSERT_EQ(json["outputs"].size(), 4u);
  EXPECT_EQ(json["outputs"][0]["name"], "logits");
  EXPECT_EQ(json["outputs"][3]["name"], "feature.2");
  EXPECT_THAT(json["notes"], IsEmpty());
  EXPECT_THAT(listing(path("made")), ElementsAre("model.onnx"));

  const Outcome words = run({"convert", model_, out_, "--normalize", "--batch-size", "4",
                             "--img-size", "48x64", "--name", "renamed"});
  ASSERT_EQ(words.code, 0) << words.err;
  EXPECT_THAT(words.out, HasSubstr("image  uint8 [4, 48, 64, 3]"));
  EXPECT_THAT(words.out, HasSubstr("logits  float32 [4, 5]"));
  EXPECT_THAT(slurp(out_), HasSubstr("renamed"));  // in the place of the file that was there
}

TEST_F(ConvertOnnx, HalvesBecomeTheNumbersThatTheyStandFor) {
  const std::string half = path("half.safetensors"), again = path("again.safetensors");
  ASSERT_EQ(run({"convert", model_, half, "--dtype", "bf16"}).code, 0);
  ASSERT_EQ(run({"convert", half, again, "--dtype", "fp32"}).code, 0);
  const Outcome of_half = run({"convert", half, out_, "--json"});
  ASSERT_EQ(of_half.code, 0) << of_half.err;
  EXPECT_THAT(of_half.json()["notes"].dump(), HasSubstr("16 bits"));
  EXPECT_FALSE(of_half.json()["storage"].contains("bf16"));
  const std::string bytes = slurp(out_);
  ASSERT_EQ(run({"convert", again, out_}).code, 0);
  EXPECT_TRUE(slurp(out_) == bytes);
}

TEST_F(ConvertOnnx, SaysWhatIsWrongAndLeavesNothing) {
  struct Wrong {
    std::vector<std::string> words;
    int code;
    const char* text;
  };
  const std::string safetensors = path("made/model.safetensors");
  const std::vector<Wrong> all{
      {{model_, path("made/model.onx")}, 2, ".safetensors or .onnx"},
      {{model_, safetensors, "--features"}, 2, "are for ONNX files"},
      {{model_, safetensors, "--normalize"}, 2, "are for ONNX files"},
      {{model_, safetensors, "--batch-size", "2"}, 2, "are for ONNX files"},
      {{model_, safetensors, "--img-size", "32"}, 2, "are for ONNX files"},
      {{model_, out_, "--dtype", "bf16"}, 2, "--dtype"},
      {{model_, out_, "--opset", "13"}, 2, "--opset"},
      {{model_, out_, "--batch-size", "0"}, 2, "--batch-size"},
      {{model_, out_, "--batch-size", "100000"}, 2, "65536"},
      {{model_, out_, "--img-size", "0"}, 2, "0 pixels"},
      {{model_, out_, "--img-size", "32x"}, 2, "--img-size"},
      {{model_, out_, "--img-size", "99999"}, 2, "99999"},
      {{model_, path("missing/model.onnx")}, 1, "missing"},
      {{path("missing.safetensors"), out_}, 1, "missing.safetensors"},
      {{data("downstream/mmseg.pth"), out_}, 2, "architecture"},
      {{data("models/upernet_scenes.safetensors"), out_, "--features"}, 1, "segmentor"},
  };
  for (const Wrong& wrong : all) {
    std::vector<std::string> words{"convert"};
    words.insert(words.end(), wrong.words.begin(), wrong.words.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, wrong.code) << testing::PrintToString(words) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(wrong.text)) << testing::PrintToString(words);
    EXPECT_THAT(listing(path("made")), IsEmpty()) << testing::PrintToString(words);
  }
}

}  // namespace
}  // namespace asmlp::test::cli_convert_onnx_test
