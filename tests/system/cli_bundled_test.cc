// Models that are found by themselves: a detector and a segmentor of scenes, on scenes that nobody
// has trained on, and those that come with the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/command.h"

namespace asmlp::test::cli_bundled_test {
namespace {

using testing::HasSubstr, testing::SizeIs;

class Bundled : public testing::Test {
 protected:
  void SetUp() override {
    settings_.environment = environment_with("ASMLP_MODEL_DIR=" + data("models").string());
    const fs::path items = "/usr/share/datasets/fashion-mnist";
    if (!fs::exists(items)) GTEST_SKIP() << "Debian's dataset-fashion-mnist is not installed";
    const Outcome made = run({"dataset", "scenes", items, "-o", path("scenes"), "--train", "1",
                              "--val", "40", "--seed", "2026"});
    ASSERT_EQ(made.code, 0) << made.err;
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_;
  RunSettings settings_;
};

TEST_F(Bundled, TheDetectorFindsTheItems) {
  const Outcome scores = run({"validate", path("scenes"), "--json"}, settings_);
  ASSERT_EQ(scores.code, 0) << scores.err;
  EXPECT_GT(scores.json()["bbox"]["AP50"].get<double>(), 0.72);
  EXPECT_GT(scores.json()["segm"]["AP50"].get<double>(), 0.7);
  const Outcome found =
      run({"detect", path("scenes/val2017"), "--output", path("pictures"), "--json"}, settings_);
  ASSERT_EQ(found.code, 0) << found.err;
  EXPECT_THAT(found.err, HasSubstr("using the bundled model"));
  EXPECT_THAT(found.json()["images"], SizeIs(40));
  EXPECT_THAT(listing(path("pictures")), SizeIs(40));
}

TEST_F(Bundled, TheSegmentorKnowsTheClassesOfThePixels) {
  const Outcome seen =
      run({"segment", path("scenes/images/validation"), "--output", path("pictures"), "--json"},
          settings_);
  ASSERT_EQ(seen.code, 0) << seen.err;
  EXPECT_THAT(seen.err, HasSubstr("using the bundled model"));
  const std::string model = seen.json()["model"]["file"];
  const Outcome scores = run({"validate", path("scenes"), "--model", model, "--json"});
  ASSERT_EQ(scores.code, 0) << scores.err;
  EXPECT_GT(scores.json()["miou"].get<double>(), 62);
}

// The models of models/, found beside the program, on pictures that are none of their data.
TEST(BundledPhotos, TheDetectorFindsDrawnCells) {
  const Outcome found = run({"detect", data("blood_smear.png"), "--no-pictures", "--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  const Json json = found.json();
  EXPECT_EQ(json["model"]["name"], "faster_rcnn_bccd");
  std::map<std::string, int> sure;
  for (const Json& object : json["images"][0]["detections"]) {
    sure[object["label"]] += object["score"].get<double>() > 0.5;
  }
  EXPECT_GE(sure["RBC"], 9);  // of 13
  EXPECT_EQ(sure["WBC"], 2);
}

TEST(BundledPhotos, TheClassifierIsUnsureOfMostPhotos) {
  const Outcome told = run({"predict", data("photos"), "--json"});
  ASSERT_EQ(told.code, 0) << told.err;
  const Json json = told.json();
  EXPECT_EQ(json["model"]["name"], "asmlp_imagenette");
  int unsure = 0;
  for (const Json& image : json["images"]) unsure += image["unsure"].get<bool>();
  EXPECT_GE(unsure, 4);  // of 7
}

}  // namespace
}  // namespace asmlp::test::cli_bundled_test
