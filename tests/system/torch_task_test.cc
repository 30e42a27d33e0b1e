// `asmlp train` finds its task.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command.h"

namespace asmlp::test::torch_task_test {
namespace {

using testing::HasSubstr;
using testing::Not;

// The run ends at its first wrong option, after the task has been found and said.
TEST(TrainTask, IsFoundByTheLayoutOfTheData) {
  const TemporaryFolder folder;
  const fs::path coco = folder.path() / "coco", ade = folder.path() / "ade";
  fs::create_directories(coco / "train2017");
  fs::create_directories(coco / "annotations");
  std::ofstream(coco / "annotations/instances_train2017.json") << "{}";
  for (const char* part : {"images/training", "annotations/training"}) {
    fs::create_directories(ade / part);
  }
  const auto err = [&](const fs::path& data, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"train", data.string(), "--epochs", "0"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("epochs"));
    return outcome.err;
  };
  EXPECT_THAT(err(coco), HasSubstr("task: detect (" + coco.string() + " is laid out as COCO is)"));
  EXPECT_THAT(err(ade), HasSubstr("task: segment (" + ade.string() + " is laid out as ADE20K is)"));
  EXPECT_THAT(err(folder.path(), {"--model", "cascade_asmlp_tiny"}),
              HasSubstr("task: detect (cascade_asmlp_tiny is a detector)"));
  EXPECT_THAT(err(coco, {"--task", "classify"}), Not(HasSubstr("task: ")));
  EXPECT_THAT(err(folder.path()), Not(HasSubstr("task: ")));
}

TEST(TrainTask, ARecipeOfAnotherOneIsAnError) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "annotations");
  std::ofstream(folder.path() / "annotations/instances_val2017.json") << "{}";
  const std::string recipe = source_folder() / "recipes/fashion_nano.yaml";
  const Outcome outcome = run({"train", folder.path(), "--config", recipe});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("is laid out for detectors"));
  EXPECT_THAT(outcome.err, HasSubstr("--task classify"));
}

}  // namespace
}  // namespace asmlp::test::torch_task_test
