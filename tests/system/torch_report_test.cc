// The pictures of a run, of each task, as `asmlp train` leaves them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/dataset/synthetic/scenes.h"
#include "asmlp/image/decode.h"
#include "tests/support/command.h"
#include "tests/support/idx_files.h"

namespace asmlp::test::torch_report_test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Report : public testing::Test {
 protected:
  Report() {
    write_items(path("items"), "train", {0, 1, 2, 3}, draw_disc);
    write_items(path("items"), "t10k", {0, 1, 2, 3}, draw_disc);
  }
  fs::path path(const std::string& name) const { return folder_.path() / name; }

  // A recipe of the task, whose data lie in `data`.
  std::string recipe(const std::string& task, const std::string& data, const std::string& model,
                     const std::string& more) {
    const fs::path file = path(task + ".yaml");
    std::ofstream(file) << "data: " << path(data).string() << "\ntask: " << task
                        << "\nmodel: " << model << "\nepochs: 1\nthreads: 1\nworkers: 0\n"
                        << more;
    return file.string();
  }
  // The scenes are written once, for the tasks that need them.
  void write_small_scenes() {
    ScenesOptions options;
    options.scene.height = 48;
    options.scene.width = 64;
    options.train = 4;
    options.val = 2;
    options.threads = 1;
    write_scenes(path("items"), path("scenes"), options);
  }

  void train(const std::string& recipe, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"train", "--config", recipe, "--output", path("run").string()};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, Not(HasSubstr("not drawn")));
  }
  // Every picture is a file, on the page, in run.json, and in TensorBoard's file.
  void expect_pictures(const std::vector<std::string>& names,
                       const std::vector<std::string>& tags) const {
    const std::string page = slurp(path("run/report.html"));
    EXPECT_EQ(count(page, "src=\"data:image/"), names.size());
    EXPECT_THAT(page, Not(HasSubstr("src=\"images")));
    const Json json = Json::parse(slurp(path("run/run.json")))["images"];
    ASSERT_EQ(json.size(), names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(json[i]["file"], "images/" + names[i] + ".png");
      EXPECT_THAT(page, HasSubstr(json[i]["title"].get<std::string>()));
      const Image image = decode_image(path("run/images/" + names[i] + ".png"));
      EXPECT_GT(image.width, 100);
      EXPECT_GT(image.height, 100);
    }
    std::string events;
    for (const auto& entry : fs::directory_iterator(path("run"))) {
      if (entry.path().filename().string().starts_with("events.")) events += slurp(entry.path());
    }
    EXPECT_EQ(count(events, "\x89PNG"), names.size());
    for (const std::string& tag : tags) EXPECT_EQ(count(events, tag), 1u) << tag;
  }
  static size_t count(const std::string& text, const std::string& word) {
    size_t found = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
      ++found;
    }
    return found;
  }

  TemporaryFolder folder_;
};

TEST_F(Report, OfAClassifier) {
  const std::string file =
      recipe("classify", "items",
             R"({"config": {"in_chans": 1, "embed_dim": 6, "depths": [1, 1], "patch_size": 2},
                 "preprocessing": {"size": 28, "crop_pct": 1, "mean": [0.3], "std": [0.3]}})",
             "batch_size: 2\nwarmup_epochs: 0\n");
  train(file);
  expect_pictures({"predictions", "samples", "confusion"},
                  {"predictions/validation", "samples/train", "confusion"});
  // Without pictures.
  fs::remove_all(path("run"));
  train(file, {"--report-images", "0"});
  EXPECT_FALSE(fs::exists(path("run/images")));
  EXPECT_THAT(slurp(path("run/report.html")), Not(HasSubstr("<img")));
  EXPECT_EQ(run({"train", "--config", file, "--report-images", "65"}).code, 2);
}

TEST_F(Report, OfADetector) {
  write_small_scenes();
  train(recipe("detect", "scenes",
               R"({"name": "small", "config": {
        "kind": "mask_rcnn", "num_classes": 10, "fpn_channels": 8,
        "backbone": {"embed_dim": 8, "depths": [1, 1], "shift_size": 3},
        "rpn": {"channels": 8, "anchors": {"strides": [4, 8], "scale": 4}, "sample": {"count": 32},
                "train_proposals": {"kept": 30}, "test_proposals": {"kept": 20}},
        "roi": {"levels": 2}, "box_head": {"fcs": 1, "fc_channels": 16},
        "mask_head": {"convs": 1, "channels": 8}, "stages": [{"sample": {"count": 16}}]},
        "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 8}})",
               "batch_size: 2\nshort_sides: [48]\nlong_side: 64\ncrop_prob: 0\n"));
  expect_pictures({"predictions", "samples", "pr_curve"},
                  {"predictions/validation", "samples/train", "pr_curve"});
}

TEST_F(Report, OfASegmentor) {
  write_small_scenes();
  train(recipe("segment", "scenes",
               R"({"config": {
        "num_classes": 11, "backbone": {"embed_dim": 8, "depths": [1, 1, 1], "shift_size": 3},
        "decode_head": {"channels": 8}, "auxiliary_head": {"channels": 8, "stage": 1}},
        "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 1}})",
               "batch_size: 2\ncrop: 32\nsteps_per_epoch: 2\n"),
        {"--task", "segment"});  // the folder is laid out for detectors, too
  expect_pictures({"predictions", "samples", "confusion"},
                  {"predictions/validation", "samples/train", "confusion"});
}

}  // namespace
}  // namespace asmlp::test::torch_report_test
