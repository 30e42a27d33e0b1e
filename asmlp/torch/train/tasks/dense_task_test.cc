// Detection and segmentation through the trainer: on synthetic scenes, small and for a few steps.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/core/atomic_file.h"
#include "asmlp/dataset/synthetic/scenes.h"
#include "asmlp/image/class_color.h"
#include "asmlp/torch/baselines/make_classifier.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/io/initial_weights.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/segment/segmentor_file.h"
#include "asmlp/torch/train/pictures.h"
#include "asmlp/torch/train/tasks/make_task.h"
#include "asmlp/torch/train/trainer.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/idx_files.h"
#include "tests/support/support.h"

namespace asmlp::train::dense_task_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class DenseTask : public testing::Test {
 protected:
  DenseTask() {
    test::write_items(folder_.path() / "items", "train", {0, 1, 2, 3}, test::draw_disc);
    test::write_items(folder_.path() / "items", "t10k", {0, 1, 2, 3}, test::draw_disc);
    ScenesOptions options;
    options.scene.height = 48;
    options.scene.width = 64;
    options.train = 8;
    options.val = 3;
    options.threads = 1;
    write_scenes(folder_.path() / "items", folder_.path() / "scenes", options);
  }

  TrainOptions options(Task task, const std::string& config) {
    TrainOptions o = default_options(task);
    o.model.data = (folder_.path() / "scenes").string();
    o.model.choice = config;
    o.schedule.epochs = 2;
    o.run.workers = 1;
    o.run.threads = 1;
    o.schedule.warmup_steps = 2;
    o.schedule.lr = 1e-3;
    return o;
  }
  TrainOptions detection() {
    TrainOptions o = options(Task::kDetect, R"({"name": "small", "config": {
        "kind": "cascade", "num_classes": 10, "fpn_channels": 8,
        "backbone": {"embed_dim": 8, "depths": [1, 1], "shift_size": 3, "drop_path": 0.2},
        "rpn": {"channels": 8, "anchors": {"strides": [4, 8], "scale": 4}, "sample": {"count": 32},
                "train_proposals": {"kept": 30}, "test_proposals": {"kept": 20}},
        "roi": {"levels": 2}, "box_head": {"convs": 1, "conv_channels": 8, "fc_channels": 16},
        "mask_head": {"convs": 1, "channels": 8},
        "stages": [{"sample": {"count": 16}}, {"sample": {"count": 16}, "weight": 0.5}]},
        "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 8}})");
    o.detection.short_sides = {40, 48};
    o.detection.long_side = 64;
    o.detection.crop_short_sides = {48};
    o.detection.crop_size = {32, 48};
    o.schedule.milestones = {1};
    o.optimizer.model_ema = true;
    return o;
  }
  TrainOptions segmentation() {
    TrainOptions o = options(Task::kSegment, R"({"config": {
        "num_classes": 10, "backbone": {"embed_dim": 8, "depths": [1, 1, 1], "shift_size": 3},
        "decode_head": {"channels": 8}, "auxiliary_head": {"channels": 8, "stage": 1}},
        "preprocessing": {"short_side": 48, "long_side": 64, "pad_multiple": 1}})");
    o.segmentation.crop = 32;
    o.dense.steps_per_epoch = 3;
    return o;
  }

  Trainer trainer(const TrainOptions& options, const std::string& folder) {
    return Trainer(options, make_task(options, "scenes", *world_), folder_.path() / folder, {},
                   *world_);
  }
  // A run in one piece and one with a stop in the middle of each epoch end in the same bytes.
  void expect_resumable(const TrainOptions& options, int64_t steps_per_epoch) {
    Observer quiet;
    {
      Trainer whole = trainer(options, "whole");
      EXPECT_EQ(whole.steps_per_epoch(), steps_per_epoch);
      ASSERT_EQ(whole.run(quiet), Outcome::kFinished);
      EXPECT_EQ(whole.state().history.size(), 2u);
      EXPECT_EQ(whole.state().skipped, 0);
    }
    for (const int64_t stop : {steps_per_epoch - 1, steps_per_epoch + 1, int64_t{1000}}) {
      Trainer part = trainer(options, "parts");
      part.resume_automatically();
      part.run(quiet, nullptr, stop);
    }
    for (const char* name : {"final.safetensors", "summary.csv"}) {
      EXPECT_EQ(read_file(folder_.path() / "whole" / name),
                read_file(folder_.path() / "parts" / name))
          << name;
    }
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<dist::World> world_ = dist::single_world();
};

TEST_F(DenseTask, ADetectorTrainsResumesAndIsExported) {
  expect_resumable(detection(), 4);
  const auto file = detect::load_detector(folder_.path() / "whole" / "final.safetensors");
  EXPECT_EQ(file.spec.name, "small.scenes");
  EXPECT_EQ(file.spec.classes.size(), 10u);
  EXPECT_EQ(file.spec.config.backbone.shift_size, (ShiftSize{3, 3}));
  EXPECT_TRUE(file.spec.origin.contains("validation_bbox_AP50"));
  EXPECT_THAT(read_file(folder_.path() / "whole" / "summary.csv"),
              testing::StartsWith("epoch,train_loss,eval_bbox_AP,eval_bbox_AP50,eval_bbox_AP75,"
                                  "eval_segm_AP,eval_segm_AP50,eval_segm_AP75,lr\n"));
  // The statistics of the batch norms are part of the state.
  const TensorMap state = read_safetensors(folder_.path() / "whole" / "last.safetensors").tensors;
  const std::string mean = "roi_head.bbox_head.0.shared_convs.0.bn.running_mean";
  EXPECT_NE(to_f32(state.at("model." + mean)), std::vector<float>(8, 0));
  EXPECT_EQ(to_f32(state.at("ema." + mean)), to_f32(state.at("model." + mean)));
}

TEST_F(DenseTask, ASegmentorTrainsResumesAndIsExported) {
  expect_resumable(segmentation(), 3);
  const auto file = segment::load_segmentor(folder_.path() / "whole" / "final.safetensors");
  EXPECT_EQ(file.spec.name, "upernet_asmlp_e8_d1-1-1_p4_s3.scenes");  // it came without one
  EXPECT_EQ(file.spec.classes.size(), 11u);
  EXPECT_TRUE(file.spec.origin.contains("validation_mIoU"));
}

// The last picture of each name.
class Album : public Observer {
 public:
  void on_pictures(const std::vector<Picture>& pictures) override {
    for (const Picture& picture : pictures) last[picture.name] = picture;
  }
  std::map<std::string, Picture> last;
};

TEST_F(DenseTask, PicturesShowSamplesAndPredictionsAndChangeNoBit) {
  for (TrainOptions options : {detection(), segmentation()}) {
    const bool detects = options.model.task == Task::kDetect;
    const std::string name = detects ? "detector" : "segmentor";
    Album album;
    trainer(options, name + "_pictures").run(album);
    ASSERT_EQ(album.last.size(), 3u);
    EXPECT_TRUE(album.last.contains(detects ? "pr_curve" : "confusion"));
    EXPECT_THAT(album.last["predictions"].caption, HasSubstr("3 of 3 validation images"));
    EXPECT_GT(album.last["samples"].image.width, 600);
    options.run.report_images = 0;
    Album empty;
    trainer(options, name + "_none").run(empty);
    EXPECT_TRUE(empty.last.empty());
    for (const char* file : {"final.safetensors", "summary.csv"}) {
      EXPECT_EQ(read_file(folder_.path() / (name + "_pictures") / file),
                read_file(folder_.path() / (name + "_none") / file))
          << name << ' ' << file;
    }
  }
}

TEST_F(DenseTask, SamplesAreTheInputsPixelsUnderBoxesMasksAndLabels) {
  const TrainOptions options = detection();
  const auto task = make_task(options, "scenes", *world_);
  const auto source = task->training_batches();
  data::BatchStream stream = source->start(0);
  const data::Batch batch = stream.next().value();
  const std::vector<Tile> tiles = task->sample_tiles(batch, 1);
  ASSERT_EQ(tiles.size(), 1u);
  const DenseInput input;  // mean and deviation are the default ones
  const data::ImageInfo& info = batch.infos[0];
  const Image seen = panel_of(
      input_image(batch.images[0], info.height, info.width, input.mean, input.std, 1), 320);
  ASSERT_GT(info.boxes.size(0), 0);
  const Image& drawn = tiles[0].panels[0];
  ASSERT_EQ(drawn.width, seen.width);
  // Outside of boxes, masks and labels nothing is changed; inside it is.
  int64_t same = 0;
  for (size_t i = 0; i < seen.pixels.size(); ++i) same += seen.pixels[i] == drawn.pixels[i];
  EXPECT_GT(same, std::ssize(seen.pixels) / 20);
  EXPECT_LT(same, std::ssize(seen.pixels));
  // The frame of the first object is two pixels wide, the second of which is covered whole.
  const float* box = info.boxes.data_ptr<float>();
  const auto factor = float(seen.width) / float(info.width);
  const int x = static_cast<int>(box[0] * factor) + 1;
  const int y = static_cast<int>((box[1] + box[3]) / 2 * factor);
  const uint8_t* pixel = drawn.row(y) + 3 * x;
  EXPECT_EQ((Color{pixel[0], pixel[1], pixel[2]}),
            class_color(static_cast<int>(info.labels[0].item<int64_t>())));
}

TEST_F(DenseTask, StartsFromAClassifierOrFromAWholeNetwork) {
  // A classifier: its head and norm are left over, the norms of the outputs start anew.
  ModelSpec classifier;
  classifier.config.embed_dim = 8;
  classifier.config.depths = {1, 1};
  classifier.config.shift_size = {5, 5};
  classifier.config.num_classes = 7;
  const auto path = folder_.path() / "classifier.safetensors";
  nn::AsMlp weights(classifier.config);
  save_checkpoint(path, {classifier, nn::export_parameters(*weights)});
  TrainOptions options = detection();
  options.model.initial_checkpoint = path.string();
  {
    Trainer t = trainer(options, "from_classifier");
    const std::vector<std::string> notes = t.load_initial_weights();
    EXPECT_THAT(notes, testing::Contains(AllOf(HasSubstr("shift size 5"), HasSubstr("is 3"))));
    EXPECT_THAT(notes, testing::Contains(AllOf(HasSubstr("4 unexpected (head.bias"),
                                               HasSubstr("4 missing (norm0.bias"))));
  }
  // A detector of other classes: all but what depends on them.
  auto spec = std::get<DetectorSpec>(options.model.choice.resolve(Task::kDetect).model);
  spec.config.num_classes = 4;
  detect::DetectorNet net(spec.config);
  detect::save_detector(path, spec, *net);
  Trainer t = trainer(options, "from_detector");
  // fc_cls, fc_reg and conv_logits of two stages, weight and bias.
  EXPECT_THAT(t.load_initial_weights(), testing::Contains(HasSubstr("12 tensors have another")));
  Observer quiet;
  t.run(quiet, nullptr, 0);
  const TensorMap state =
      read_safetensors(folder_.path() / "from_detector" / "last.safetensors").tensors;
  EXPECT_EQ(to_f32(state.at("model.rpn_head.rpn_cls.weight")),
            to_f32(read_safetensors(path).tensors.at("rpn_head.rpn_cls.weight")));
}

TEST_F(DenseTask, GivesItsBackboneToAClassifier) {
  const auto spec = std::get<DetectorSpec>(detection().model.choice.resolve(Task::kDetect).model);
  detect::DetectorNet net(spec.config);
  const auto path = folder_.path() / "detector.safetensors";
  detect::save_detector(path, spec, *net);
  const TensorMap from = read_safetensors(path).tensors;
  Architecture architecture;
  architecture.spec.config = spec.config.backbone;
  architecture.spec.config.num_classes = 6;
  architecture.spec.config.shift_size = {5, 5};
  nn::Classifier model = nn::make_classifier(architecture);
  const TensorMap before = nn::export_parameters(*model);
  const std::vector<float> head = to_f32(before.at("head.weight"));
  const auto notes = nn::load_initial_weights(*model, {architecture}, path);
  EXPECT_THAT(notes, testing::Contains(HasSubstr("head starts anew: the file has none")));
  EXPECT_THAT(notes, testing::Contains(AllOf(HasSubstr("shift size 3"), HasSubstr("is 5"))));
  const std::string last = fmt::format("backbone.norm{}.", spec.config.backbone.num_stages() - 1);
  for (const auto& [name, tensor] : nn::export_parameters(*model)) {
    if (name.starts_with("head.")) continue;
    const std::string source =
        name.starts_with("norm.") ? last + name.substr(5) : "backbone." + name;
    EXPECT_EQ(to_f32(tensor), to_f32(from.at(source))) << name;
  }
  EXPECT_EQ(to_f32(nn::export_parameters(*model).at("head.weight")), head);
  // A backbone of another width is not this classifier's.
  architecture.spec.config.embed_dim = 16;
  nn::Classifier wide = nn::make_classifier(architecture);
  EXPECT_THAT(test::error_of([&] { nn::load_initial_weights(*wide, {architecture}, path); }).what(),
              HasSubstr("detector.safetensors"));
}

TEST_F(DenseTask, WhatDoesNotFitIsNamed) {
  const auto error = [&](TrainOptions options) {
    return std::string(test::error_of([&] { trainer(options, "wrong"); }).what());
  };
  TrainOptions options = detection();
  options.model.num_classes = 3;
  EXPECT_THAT(error(options), HasSubstr("the data set has 10 classes"));
  options = detection();
  options.model.data = folder_.path() / "items";
  EXPECT_THAT(error(options), HasSubstr("annotations"));
  options = segmentation();
  options.model.data = folder_.path() / "items";
  EXPECT_THAT(error(options), HasSubstr("images"));
  options = segmentation();
  options.schedule.batch_size = 100;
  EXPECT_THAT(error(options), HasSubstr("smaller batch-size"));
}

}  // namespace
}  // namespace asmlp::train::dense_task_test
