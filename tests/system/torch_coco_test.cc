// `asmlp train` of a detector on annotations in another order, and on those of one split.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/coco_layouts.h"
#include "tests/support/command.h"

namespace asmlp::test::torch_coco_test {
namespace {

using testing::HasSubstr;

constexpr double kBoxAp = 0.7103, kMaskAp = 0.6754;

// Training starts from the detector, on the same classes in another order: the first validation has
// the scores of the detector. Steps of 1e-12 change nothing.
TEST(CocoTraining, MatchesClassesByName) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder.path() / name).string(); };
  const std::string model = data("models/mask_rcnn_scenes.safetensors");
  const auto train = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> words{"train",
                                   "--config",
                                   source_folder() / "recipes/scenes_mask_rcnn.yaml",
                                   "--initial-checkpoint",
                                   model,
                                   "--output",
                                   path(name),
                                   "--json"};
    for (const char* word : {"--epochs", "1", "--batch-size", "1", "--lr", "1e-12", "--threads",
                             "1", "--no-model-ema", "--warmup-steps", "0"}) {
      words.emplace_back(word);
    }
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  write_coco_layout({"train", "images", "train.json", nullptr, permute_ids}, path("data"));
  const Outcome outcome =
      train("run", {"--train-images", path("data/images"), "--train-annotations",
                    path("data/train.json"), "--val-images", data("coco_base/val2017"),
                    "--val-annotations", data("coco_base/annotations/instances_val2017.json")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NEAR(outcome.json()["last_bbox_AP"].get<double>(), kBoxAp, 1e-3);
  EXPECT_NEAR(outcome.json()["last_segm_AP"].get<double>(), kMaskAp, 1e-3);
  EXPECT_THAT(outcome.err, HasSubstr("same classes in another order"));
  // The trained file has the classes in its own order, and the same scores.
  const Json validated = run({"validate", data("coco_base"), "--model",
                              path("run/final.safetensors"), "--threads", "1", "--json"})
                             .json();
  EXPECT_NEAR(validated["bbox"]["AP"].get<double>(), kBoxAp, 1e-3);

  const Outcome none = train("none", {path("data")});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("--val-fraction 0.1"));
  const Outcome held = train("held", {path("data"), "--val-fraction", "0.3", "--max-steps", "1"});
  EXPECT_THAT(held.err, HasSubstr("1 of 3 training images are held out"));
  EXPECT_THAT(held.err, HasSubstr("2 training and 1 validation images"));
}

}  // namespace
}  // namespace asmlp::test::torch_coco_test
