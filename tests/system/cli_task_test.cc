// --task: what a command line is for, said or found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_task_test {
namespace {

using testing::HasSubstr;
using testing::Not;

const char* const kDetector = "models/mask_rcnn_scenes.safetensors";
const char* const kSegmentor = "models/upernet_scenes.safetensors";

std::string trained(const char* name) { return data(name); }

TEST(Task, OptionsOfAnotherOneAreErrors) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{"validate", "data", "--task", "detect", "--limit", "3"}, "--limit is for classifiers"},
      {{"validate", "data", "--task", "segment", "--per-class"}, "--per-class is for detectors"},
      {{"validate", "data", "--flip"}, "--flip is for segmentors"},
      {{"validate", "data", "--model", trained(kDetector), "--sheet", "x.png"},
       "--sheet is for classifiers"},
      {{"bench", "--task", "detect", "--img-size", "224"}, "--img-size has no effect"},
      {{"bench", "--train", "--isa", "avx2"}, "--isa has no effect"},
      {{"bench", "--task", "segment", "--batch", "2"}, "has no effect on segmentors"}};
  for (const auto& [arguments, expected] : wrong) {
    const Outcome outcome = run(arguments);
    EXPECT_NE(outcome.code, 0) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, HasSubstr(expected));
  }
  EXPECT_EQ(run({"validate", "data", "--task", "sing"}).code, 2);
}

TEST(Task, OfAModelIsSaid) {
  const Outcome detector =
      run({"validate", "nowhere", "--model", trained(kDetector), "--limit", "1"});
  EXPECT_THAT(detector.err, HasSubstr("note: task: detect (" + trained(kDetector)));
  const Outcome said = run({"validate", "nowhere", "--task", "segment", "--limit", "1"});
  EXPECT_THAT(said.err, Not(HasSubstr("note: task")));
}

TEST(Task, HelpDependsOnNoFile) {
  const Outcome plain = run({"validate", "--help"});
  EXPECT_EQ(plain.code, 0);
  EXPECT_EQ(run({"validate", "--model", trained(kSegmentor), "--help"}).out, plain.out);
  EXPECT_EQ(run({"validate", "--model", "nowhere.pth", "--help"}).out, plain.out);
  for (const char* option : {"--task", "--limit", "--per-class", "--multi-scale"}) {
    EXPECT_THAT(plain.out, HasSubstr(option));
  }
}

// Detectors and segmentors are converted without LibTorch, whatever key they describe themselves
// by.
TEST(Task, ConvertKeepsEveryTensorOfEveryKind) {
  const TemporaryFolder folder;
  const std::string out = folder.path() / "out.safetensors";
  for (const char* name : {kDetector, kSegmentor}) {
    const Outcome converted = run({"convert", trained(name), out, "--name", "mine", "--json"});
    ASSERT_EQ(converted.code, 0) << converted.err;
    EXPECT_EQ(converted.json()["name"], "mine");
    const TensorFile before = read_safetensors(trained(name)), after = read_safetensors(out);
    EXPECT_TRUE(after.metadata.contains("asmlp"));
    ASSERT_EQ(after.tensors.size(), before.tensors.size());
    for (const auto& [key, tensor] : before.tensors) {
      EXPECT_TRUE(std::ranges::equal(after.tensors.at(key).bytes, tensor.bytes)) << key;
    }
    EXPECT_EQ(run({"convert", out, out, "--task", "classify"}).code, 2);  // over itself
  }
}

}  // namespace
}  // namespace asmlp::test::cli_task_test
