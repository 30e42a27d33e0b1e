// Training with decoded images kept: the same run, whatever keeps them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/core/thread_pool.h"
#include "asmlp/dataset/synthetic/scenes.h"
#include "asmlp/image/encode.h"
#include "asmlp/torch/train/sources.h"
#include "asmlp/torch/train/tasks/make_task.h"
#include "tests/support/idx_files.h"
#include "tests/support/images.h"
#include "tests/support/trainer_runs.h"

namespace asmlp::train::open_caches_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OpenCaches : public testing::Test {
 protected:
  OpenCaches() {
    for (const char* name : {"a", "b"}) {
      fs::create_directories(folder_.path() / "set" / name);
      for (int i = 0; i < 20; ++i) {
        write_png(folder_.path() / "set" / name / (std::to_string(i) + ".png"),
                  data::noise_image(8 + i, 12, 1 + 2 * (i % 2), uint64_t(i)));
      }
    }
  }

  TrainOptions photos(CacheMode cache) const {
    TrainOptions options = small_options();
    options.model.data = (folder_.path() / "set").string();
    options.model.val_fraction = 0.2;
    options.schedule.epochs = 2;
    options.classification.augmentation.crop_padding.reset();
    options.run.cache = cache;
    return options;
  }

  Trainer trainer(const TrainOptions& options, const std::string& folder) {
    return Trainer(options, make_task(options, "x", *world_), folder_.path() / folder, {}, *world_);
  }

  std::string content(const std::string& folder, const char* name) const {
    return read_file(folder_.path() / folder / name);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<dist::World> world_ = dist::single_world();
};

class Waits : public Observer {
 public:
  void on_step(const StepReport& report) override {
    EXPECT_GE(report.data_wait, 0);
    EXPECT_LT(report.data_wait, 60);
    seconds += report.data_wait;
  }
  double seconds = 0;
};

TEST_F(OpenCaches, TheRunIsTheSame) {
  Waits waits;
  ASSERT_EQ(trainer(photos(CacheMode::kOff), "off").run(waits), Outcome::kFinished);
  // Without workers, making the batches is waiting for them.
  EXPECT_GT(waits.seconds, 0);
  for (const CacheMode mode : {CacheMode::kRam, CacheMode::kDisk}) {
    const std::string folder = name_of(mode);
    Observer quiet;
    // Begun without, continued with it.
    trainer(photos(CacheMode::kOff), folder).run(quiet, nullptr, 3);
    const Warnings warnings;
    Trainer rest = trainer(photos(mode), folder);
    rest.resume(rest.state_path());
    ASSERT_EQ(rest.run(quiet), Outcome::kFinished);
    for (const char* name : {"final.safetensors", "summary.csv"}) {
      EXPECT_EQ(content(folder, name), content("off", name)) << name;
    }
    EXPECT_THAT(warnings.text(), AllOf(HasSubstr("cache " + folder), HasSubstr("(training, "),
                                       HasSubstr("(validation, ")));
  }
  EXPECT_TRUE(fs::is_directory(folder_.path() / "disk" / "cache"));
}

TEST_F(OpenCaches, TheFolderCanBeNamed) {
  TrainOptions options = photos(CacheMode::kDisk);
  options.run.cache_dir = (folder_.path() / "elsewhere").string();
  make_task(options, "x", *world_)->open_caches(folder_.path() / "run");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path() / "elsewhere"), {}), 2);
  EXPECT_FALSE(fs::exists(folder_.path() / "run"));
}

TEST_F(OpenCaches, SaysWhatItDoesNotKeep) {
  test::write_items(folder_.path() / "items", "train", {0, 1, 2, 3}, test::draw_disc);
  test::write_items(folder_.path() / "items", "t10k", {0, 1, 2, 3}, test::draw_disc);
  TrainOptions options = photos(CacheMode::kRam);
  options.model.val_fraction = 0;
  options.model.data = (folder_.path() / "items").string();
  {
    const Warnings warnings;
    make_task(options, "x", *world_)->open_caches(folder_.path());
    EXPECT_THAT(warnings.text(), HasSubstr("are in memory already"));
  }
  // Fast decoding has no place where images are decoded once.
  options = photos(CacheMode::kRam);
  options.classification.augmentation.decode = data::CropDecoding::kFast;
  const Warnings warnings;
  make_task(options, "x", *world_)->open_caches(folder_.path());
  EXPECT_THAT(warnings.text(), HasSubstr("decode fast: with a cache"));
}

TEST_F(OpenCaches, DetectorsAndSegmentorsSeeTheSameImages) {
  test::write_items(folder_.path() / "items", "train", {0, 1, 2, 3}, test::draw_disc);
  test::write_items(folder_.path() / "items", "t10k", {0, 1, 2, 3}, test::draw_disc);
  ScenesOptions scenes;
  scenes.scene.height = 48;
  scenes.scene.width = 64;
  scenes.train = 6;
  scenes.val = 3;
  scenes.threads = 1;
  write_scenes(folder_.path() / "items", folder_.path() / "scenes", scenes);
  for (const Task task : {Task::kDetect, Task::kSegment}) {
    TrainOptions options = default_options(task);
    options.model.data = (folder_.path() / "scenes").string();
    options.model.choice = task == Task::kDetect ? R"({"name": "small", "config": {
        "num_classes": 10, "fpn_channels": 8,
        "backbone": {"embed_dim": 8, "depths": [1, 1], "shift_size": 3},
        "rpn": {"channels": 8, "anchors": {"strides": [4, 8], "scale": 4}},
        "roi": {"levels": 2}, "box_head": {"fc_channels": 16}, "mask_head": {"convs": 1, "channels": 8}},
        "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 8}})"
                                                 : R"({"name": "small", "config": {
        "num_classes": 10, "backbone": {"embed_dim": 8, "depths": [1, 1, 1], "shift_size": 3},
        "decode_head": {"channels": 8}, "auxiliary_head": {"channels": 8, "stage": 1}},
        "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 1}})";
    options.detection.short_sides = {40, 48};
    options.detection.long_side = 64;
    options.detection.crop_short_sides = {48};
    options.detection.crop_size = {32, 48};
    options.segmentation.crop = 32;
    const auto batches = [&](CacheMode mode, bool training) {
      options.run.cache = mode;
      const auto made = make_task(options, "x", *world_);
      made->open_caches(folder_.path() / name_of(task));
      const auto source = training ? made->training_batches() : made->validation_batches();
      std::vector<torch::Tensor> images;
      for (int epoch = 0; epoch < 2; ++epoch) {
        data::BatchStream stream = source->start(epoch);
        while (const auto batch = stream.next()) {
          images.push_back(batch->images);
          if (batch->targets.defined()) images.push_back(batch->targets);
          if (images.size() > 40) break;
        }
      }
      return images;
    };
    for (const bool training : {true, false}) {
      const auto expected = batches(CacheMode::kOff, training);
      ASSERT_GT(expected.size(), 3u);
      for (const CacheMode mode : {CacheMode::kRam, CacheMode::kDisk}) {
        const auto kept = batches(mode, training);
        ASSERT_EQ(kept.size(), expected.size());
        for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(torch::equal(kept[i], expected[i]));
      }
    }
  }
}

TEST(LoaderWorkers, AreAsManyAsCoresButFew) {
  TrainOptions options;
  const int usual = loader_workers(options);
  EXPECT_EQ(usual, std::clamp(available_cores(), 1, 8));
  options.run.workers = 0;
  EXPECT_EQ(loader_workers(options), 0);
}

}  // namespace
}  // namespace asmlp::train::open_caches_test
