// `asmlp train` finds its task.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command.h"
#include "tests/support/idx_files.h"

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

// A detector and a segmentor are trained on by their files alone; files and data of different tasks
// are told apart, with what to do.
TEST(TrainFromFile, OfDetectorsAndSegmentors) {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  for (const char* split : {"train", "t10k"}) {
    write_items(folder.path() / "items", split, {0, 1, 2, 3}, draw_disc);
  }
  const Outcome made =
      run({"dataset", "scenes", path("items"), "-o", path("scenes"), "--train", "8", "--val", "2"});
  ASSERT_EQ(made.code, 0) << made.err;
  const fs::path models = data("models");
  const std::string detector = models / "mask_rcnn_scenes.safetensors";
  const std::string segmentor = models / "upernet_scenes.safetensors";
  const auto train = [&](const std::string& model, const char* task, const char* output) {
    return run({"train", path("scenes"), "--model", model, "--task", task, "--max-steps", "1",
                "--workers", "1", "--threads", "1", "--output", path(output)});
  };
  // Scenes are laid out for both.
  const Outcome detect = train(detector, "auto", "d"), segment = train(segmentor, "auto", "s");
  EXPECT_EQ(detect.code, 0) << detect.err;
  EXPECT_THAT(detect.err, HasSubstr("finetune_boxes.yaml"));
  EXPECT_THAT(detect.err, HasSubstr("mask_rcnn_scenes.scenes of 10 classes (T-shirt"));
  EXPECT_THAT(detect.err, HasSubstr("lr 0.0002 for such a step"));
  EXPECT_THAT(slurp(folder.path() / "d/args.yaml"), HasSubstr("long-side: 160"));
  EXPECT_EQ(segment.code, 0) << segment.err;
  EXPECT_THAT(segment.err, HasSubstr("finetune_segments.yaml"));
  EXPECT_THAT(segment.err, HasSubstr("class_weights of its training are left out"));
  EXPECT_THAT(slurp(folder.path() / "s/args.yaml"), HasSubstr("crop: 224"));
  for (const Outcome* outcome : {&detect, &segment}) {
    EXPECT_THAT(outcome->err, HasSubstr("the head starts anew"));
  }
  // A run goes on without the file that it was started from.
  EXPECT_EQ(run({"train", "--resume", path("d"), "--max-steps", "2"}).code, 0);

  const Outcome other = train(segmentor, "detect", "o");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("--initial-checkpoint " + segmentor));
  fs::create_directories(folder.path() / "photos/train/cat");
  fs::copy_file(folder.path() / "scenes/train2017/000000000001.jpg",
                folder.path() / "photos/train/cat/1.jpg");
  const Outcome photos = run({"train", path("photos"), "--model", detector});
  EXPECT_EQ(photos.code, 1);
  EXPECT_THAT(photos.err, HasSubstr("is a detector"));
  EXPECT_THAT(photos.err, HasSubstr("laid out for classifiers"));
  EXPECT_THAT(photos.err, HasSubstr("--initial-checkpoint " + detector));
}

}  // namespace
}  // namespace asmlp::test::torch_task_test
