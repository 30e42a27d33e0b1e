#include "asmlp/cli/images/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/weights/fill.h"
#include "tests/support/support.h"

namespace asmlp::cli::evaluation_test {
namespace {

using testing::ElementsAre;

// 50 images of 8 x 8 noise; every seventh cannot be read.
class Noise : public Dataset {
 public:
  int64_t size() const override { return 50; }
  int target(int64_t index) const override { return static_cast<int>(index % 3); }
  const std::vector<std::string>& classes() const override { return classes_; }
  Sample get(int64_t index) const override {
    require(index % 7 != 3, ErrorCode::kBadFormat, "noise-{}: broken", index);
    Sample sample{Image(8, 8, 1), target(index), "noise"};
    uint32_t state = static_cast<uint32_t>(index) * 2654435761u + 1;
    for (uint8_t& pixel : sample.image.pixels) {
      state = state * 1664525 + 1013904223;
      pixel = static_cast<uint8_t>(state >> 24);
    }
    return sample;
  }

 private:
  std::vector<std::string> classes_{"a", "b", "c"};
};

ModelSpec small_spec() {
  ModelSpec spec;
  spec.config.in_chans = 1;
  spec.config.num_classes = 3;
  spec.config.embed_dim = 8;
  spec.config.depths = {1, 1};
  spec.config.patch_size = 2;
  spec.preprocessing = default_preprocessing(spec.config, 8);
  spec.preprocessing.crop_pct = 1;
  return spec;
}

TEST(Evaluate, CountsWhatOneImageAtATimeCountsForAnyBatchAndSkipsUnreadableOnes) {
  const Noise data;
  const ModelSpec spec = small_spec();
  const Checkpoint checkpoint{spec, fill_parameters(spec.config)};
  const auto model = PackedModel::create(spec, checkpoint.tensors);
  // The expectation, straightforwardly.
  TopKMeter meter;
  ConfusionMatrix confusion(3);
  Engine single(model, {.threads = 1});
  std::vector<float> input(64);
  for (int64_t i = 0; i < data.size(); ++i) {
    if (i % 7 == 3) continue;
    normalize(data.get(i).image, spec.preprocessing, input);
    single.run(input, 1);
    meter.add(single.logits(), data.target(i));
    confusion.add(data.target(i), top_k(single.logits(), 1)[0]);
  }
  for (int batch : {1, 7, 16, 64}) {
    const auto runner =
        native_backend().start(checkpoint, {.max_batch = batch, .run = {.threads = 2}});
    int64_t seen = 0;
    const Evaluation result = evaluate(
        data, {0, 1, 2}, spec, *runner, 2, {.batch_size = batch, .confusion = true, .sheet = true},
        [&](int64_t done, const Evaluation&, const auto&) { seen = done; });
    EXPECT_EQ(seen, 50);
    EXPECT_EQ(result.meter.count(), 43);
    EXPECT_EQ(result.meter.top1(), meter.top1());
    EXPECT_DOUBLE_EQ(result.meter.loss(), meter.loss());
    for (int r = 0; r < 3; ++r) {
      for (int c = 0; c < 3; ++c) EXPECT_EQ(result.confusion->at(r, c), confusion.at(r, c));
    }
    ASSERT_EQ(result.failures.size(), 7u);
    EXPECT_EQ(result.failures[1].message, "noise-10: broken");
    EXPECT_EQ(result.failures[1].code, ErrorCode::kBadFormat);
    // Mistakes are wrong, and the most confident come first.
    EXPECT_FALSE(result.mistakes.empty());
    EXPECT_LE(result.mistakes.size(), static_cast<size_t>(kSheetMistakes));
    for (const SheetItem& item : result.mistakes) EXPECT_NE(item.target, item.predicted);
    EXPECT_TRUE(std::ranges::is_sorted(result.mistakes, std::greater(), &SheetItem::probability));
  }
}

TEST(Evaluate, ALimitSpreadsOverTheData) {
  const Noise data;
  const ModelSpec spec = small_spec();
  const Checkpoint checkpoint{spec, fill_parameters(spec.config)};
  const auto runner = native_backend().start(checkpoint, {.max_batch = 4});
  const Evaluation result =
      evaluate(data, {0, 1, 2}, spec, *runner, 1, {.batch_size = 4, .limit = 5}, nullptr);
  // Images 0, 10 (unreadable), 20, 30, 40.
  EXPECT_EQ(result.meter.count(), 4);
  EXPECT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(evaluated_images(data, 80), 50);
}

// Among some classes only: the numbers are those of a model that has no other classes.
TEST(Evaluate, ValidClassesAreAllThatPredictionsCompeteAmong) {
  const Noise data;
  const ModelSpec spec = small_spec();
  const Checkpoint checkpoint{spec, fill_parameters(spec.config)};
  const auto runner = native_backend().start(checkpoint, {.max_batch = 4});
  std::vector<std::string> names;
  TopKMeter meter;
  EvaluationOptions options{.batch_size = 4, .limit = 12, .valid = {0, 2}};
  options.on_image = [&](const std::string& name, int target, std::span<const float> logits) {
    names.push_back(name);
    ASSERT_EQ(logits.size(), 2u);
    meter.add(logits, target);
  };
  // Class 1 of the data counts as class 0 here.
  const Evaluation result = evaluate(data, {0, 0, 1}, spec, *runner, 1, options, nullptr);
  EXPECT_EQ(result.meter.count(), std::ssize(names));
  EXPECT_EQ(result.meter.top1(), meter.top1());
  EXPECT_EQ(result.meter.loss(), meter.loss());
  EXPECT_EQ(result.meter.top5(), 100);
}

TEST(Sheet, ConfusionsAreCountedAndOrdered) {
  ConfusionMatrix confusion(4);
  for (int i = 0; i < 5; ++i) confusion.add(0, 1);
  for (int i = 0; i < 9; ++i) confusion.add(2, 3);
  for (int i = 0; i < 5; ++i) confusion.add(1, 0);
  for (int i = 0; i < 15; ++i) confusion.add(1, 1);
  const std::vector<Confusion> pairs = most_confused(confusion, 2);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].target, 2);
  EXPECT_EQ(pairs[0].predicted, 3);
  EXPECT_EQ(pairs[0].count, 9);
  EXPECT_EQ(pairs[1].target, 0);
  EXPECT_EQ(class_total(confusion, 1), 20);
  EXPECT_DOUBLE_EQ(class_accuracy(confusion, 1), 0.75);
  EXPECT_EQ(class_accuracy(confusion, 3), 0);  // no images
  EXPECT_THAT(classes_with_errors(confusion, 2), ElementsAre(0, 2));
}

// From nothing at all to more classes than fit, with color images and awkward names.
TEST(Sheet, IsDrawnForAnyContent) {
  test::TemporaryFolder folder;
  for (int classes : {1, 10, 30}) {
    Sheet sheet;
    sheet.title = "title";
    ConfusionMatrix confusion(classes);
    if (classes > 1) {
      for (int k = 0; k < classes; ++k) {
        sheet.classes.push_back(k == 3 ? std::string(300, 'w') : "class name " + std::to_string(k));
        for (int i = 0; i < 100; ++i) confusion.add(k, (k + (i % 10 == 0)) % classes);
        sheet.samples.push_back({Image(224, 224, 3), k, k, 0.9f});
      }
      sheet.mistakes.push_back({Image(28, 28, 1), 1, 3, 0.9f});
    }
    const auto file = folder.path() / "sheet.png";
    write_sheet(file, sheet, confusion);
    EXPECT_EQ(decode_image(file).width, 1600);
  }
}

}  // namespace
}  // namespace asmlp::cli::evaluation_test
