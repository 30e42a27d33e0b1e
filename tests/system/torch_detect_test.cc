// `asmlp train` of detectors on annotations with and without outlines, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/command.h"
#include "tests/support/idx_files.h"

namespace asmlp::test::torch_detect_test {
namespace {

using testing::HasSubstr;

class DetectTraining : public testing::Test {
 protected:
  void SetUp() override {
    write_discs(path("items"));
    const Outcome made = run({"dataset", "scenes", path("items"), "-o", path("scenes"), "--train",
                              "2", "--val", "4", "--size", "48x64"});
    ASSERT_EQ(made.code, 0) << made.err;
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  std::string copied_scenes(const std::string& name) const {
    fs::copy(path("scenes"), path(name), fs::copy_options::recursive);
    return path(name);
  }
  // From the annotations of both splits whose place in the file is `chosen`.
  static void remove_outlines(const std::string& data, const std::function<bool(size_t)>& chosen) {
    for (const std::string split : {"train2017", "val2017"}) {
      const std::string file = data + "/annotations/instances_" + split + ".json";
      Json json = Json::parse(slurp(file));
      for (size_t i = 0; i < json["annotations"].size(); ++i) {
        if (chosen(i)) json["annotations"][i].erase("segmentation");
      }
      std::ofstream(file) << json.dump();
    }
  }

  TemporaryFolder folder_;
};

// From the training to the detections of a detector of boxes, on annotations without outlines.
TEST_F(DetectTraining, BoxesNeedNoMasks) {
  const std::string data = copied_scenes("boxes");
  remove_outlines(data, [](size_t) { return true; });
  std::ofstream(path("boxes.yaml")) << R"({"task": "detect", "model": {"name": "boxes", "config": {
      "kind": "cascade_rcnn", "fpn_channels": 8,
      "backbone": {"embed_dim": 8, "depths": [1, 1], "shift_size": 3},
      "rpn": {"channels": 8, "anchors": {"strides": [4, 8], "scale": 4}, "sample": {"count": 32},
              "train_proposals": {"kept": 30}, "test_proposals": {"kept": 20}},
      "roi": {"levels": 2}, "box_head": {"convs": 1, "conv_channels": 8, "fc_channels": 16},
      "stages": [{"sample": {"count": 16}}, {"sample": {"count": 16}}],
      "test": {"score_threshold": 0}},
      "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 8}},
    "epochs": 3, "decay_milestones": [], "lr": 1e-3, "warmup_steps": 1, "batch_size": 1,
    "short_sides": [48], "long_side": 64, "crop_prob": 0, "workers": 1, "threads": 1})";
  const Outcome trained =
      run({"train", data, "--config", path("boxes.yaml"), "--output", path("boxes_run"), "--json"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(slurp(path("boxes_run/summary.csv")),
              testing::AllOf(HasSubstr("eval_bbox_AP75"), testing::Not(HasSubstr("segm"))));
  const std::string model = path("boxes_run/final.safetensors");
  EXPECT_EQ(run({"info", model, "--json"}).json()["model"]["config"]["kind"], "cascade_rcnn");

  for (const char* backend : {"native", "torch"}) {
    const Outcome validated =
        run({"validate", data, "--model", model, "--threads", "1", "--backend", backend, "--json"});
    ASSERT_EQ(validated.code, 0) << validated.err;
    EXPECT_GE(validated.json()["bbox"]["AP"].get<double>(), 0);
    EXPECT_TRUE(validated.json()["segm"].is_null());
    const Outcome found = run({"detect", path("scenes/val2017"), "--model", model, "--no-pictures",
                               "--threshold", "0", "--backend", backend, "--json"});
    ASSERT_EQ(found.code, 0) << found.err;
    size_t detections = 0;
    const Json listed = found.json();
    for (const Json& image : listed["images"]) detections += image["detections"].size();
    EXPECT_EQ(detections, validated.json()["detections"]);
    EXPECT_GT(detections, 0u);
  }
}

// None are learned from boxes.
TEST_F(DetectTraining, MasksNeedOutlines) {
  const std::string mixed = copied_scenes("mixed"), none = copied_scenes("none");
  remove_outlines(mixed, [](size_t i) { return i == 0; });
  remove_outlines(none, [](size_t) { return true; });
  const Outcome refused =
      run({"train", none, "--model", "mask_rcnn_asmlp_tiny", "--output", path("never")});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--model faster_rcnn_asmlp_tiny"));
  // Nobody named a model: that of the data, found before the wrong number of classes is.
  const auto chosen = [&](const std::string& data) {
    return run({"train", data, "--num-classes", "3", "--output", path("never")}).err;
  };
  EXPECT_THAT(chosen(none), HasSubstr("model: faster_rcnn_asmlp_tiny"));
  EXPECT_THAT(chosen(mixed), testing::Not(HasSubstr("model: ")));
  EXPECT_FALSE(fs::exists(path("never")));
}

}  // namespace
}  // namespace asmlp::test::torch_detect_test
