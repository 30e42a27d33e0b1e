// Whose classes a trained model has: those of its data, with their colors.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/image/encode.h"
#include "asmlp/model/description/description.h"
#include "asmlp/weights/weight_file.h"
#include "tests/support/ade_files.h"
#include "tests/support/command.h"

namespace asmlp::test::torch_classes_test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TrainedClasses : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }

  // Trains for a step on `data`; the model is in `data`.run.
  Outcome train(const std::string& data, const std::string& model,
                const std::vector<std::string>& more) const {
    std::ofstream(path("model.json")) << model;
    std::vector<std::string> words{"train",           path(data),
                                   "--model",         path("model.json"),
                                   "--output",        path(data + ".run"),
                                   "--epochs",        "1",
                                   "--threads",       "1",
                                   "--warmup-epochs", "0"};
    words.insert(words.end(), more.begin(), more.end());
    fs::remove_all(path(data + ".run"));
    return run(words);
  }
  Outcome train_segmentor(const std::string& data) const {
    return train(data, R"({"task": "segment", "config": {
        "backbone": {"embed_dim": 8, "depths": [1, 1, 1], "shift_size": 3},
        "decode_head": {"channels": 8}, "auxiliary_head": {"channels": 8, "stage": 1}},
        "preprocessing": {"short_side": 32, "long_side": 64, "pad_multiple": 1}})",
                 {"--crop", "32", "--batch-size", "2", "--steps-per-epoch", "1"});
  }
  SegmentorSpec segmentor(const std::string& data) const {
    for (const auto& entry : fs::recursive_directory_iterator(path(data + ".run"))) {
      if (entry.path().filename() == "final.safetensors") {
        const auto described = read_weights(entry.path()).description();
        return std::get<SegmentorSpec>(described.value().model);
      }
    }
    ADD_FAILURE() << "no model in " << data << ".run";
    return {};
  }

  TemporaryFolder folder_;
};

TEST_F(TrainedClasses, OfASegmentorAreTheDatasWithTheirColors) {
  for (const char* split : {"training", "validation"}) {
    segment::write_ade(path("data"), {{32, 40}, {40, 32}}, 3, split);
  }
  fs::remove(path("data/objectInfo3.txt"));
  const Outcome unnamed = train_segmentor("data");
  ASSERT_EQ(unnamed.code, 0) << unnamed.err;
  EXPECT_THAT(unnamed.err, HasSubstr("no list of classes, so the labels 1..3 are classes"));
  EXPECT_THAT(segmentor("data").classes, ElementsAre("1", "2", "3"));

  std::ofstream(path("data/classes.txt")) << "void 0 0 0\nsky 1 2 3\nroad 255 0 16\ncar 9 9 9\n";
  const Outcome named = train_segmentor("data");
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_THAT(segmentor("data").classes, ElementsAre("sky", "road", "car"));
  EXPECT_THAT(segmentor("data").palette, ElementsAre("#010203", "#ff0010", "#090909"));

  std::ofstream(path("data/classes.txt")) << "sky\nroad\n";
  const Outcome wrong = train_segmentor("data");
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("label 3 at row"), HasSubstr("above the 2 classes of"),
                               HasSubstr("classes.txt")));
}

// The validation split may have some of the classes; they keep the numbers of the training split.
TEST_F(TrainedClasses, OfAClassifierAreThoseOfTheTrainingSplit) {
  const auto add = [&](const std::string& folder, int brightness, int count) {
    fs::create_directories(path(folder));
    for (int i = 0; i < count; ++i) {
      Image image(16, 16, 3);
      std::ranges::fill(image.pixels, static_cast<uint8_t>(brightness));
      write_png(path(fmt::format("{}/{}.png", folder, i)), image);
    }
  };
  add("photos/train/cat", 10, 4), add("photos/train/dog", 100, 4), add("photos/train/eel", 240, 4);
  add("photos/val/eel", 240, 3);
  const std::string model = R"({"config": {"embed_dim": 8, "depths": [1, 1], "patch_size": 2},
                                "preprocessing": {"size": 16, "crop_pct": 1}})";
  const std::vector<std::string> options{"--batch-size", "4", "--mixup", "0",    "--cutmix", "0",
                                         "--smoothing",  "0", "--lr",    "1e-9", "--json"};
  const Outcome some = train("photos", model, options);
  ASSERT_EQ(some.code, 0) << some.err;
  EXPECT_THAT(some.err, HasSubstr("the validation split has 1 of the 3 classes"));
  // What training measured is what `validate` measures, by name.
  std::string file;
  for (const auto& entry : fs::recursive_directory_iterator(path("photos.run"))) {
    if (entry.path().filename() == "final.safetensors") file = entry.path();
  }
  const Outcome measured = run({"validate", path("photos"), "--model", file, "--json"});
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_EQ(measured.json()["images"], 3);
  EXPECT_NEAR(measured.json()["top1"].get<double>(), some.json()["last_top1"].get<double>(), 1e-6);

  add("photos/val/fox", 60, 1);
  const Outcome other = train("photos", model, options);
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, AllOf(HasSubstr("only in the validation split: fox"),
                               HasSubstr("only in the training split: cat, dog")));
}

}  // namespace
}  // namespace asmlp::test::torch_classes_test
