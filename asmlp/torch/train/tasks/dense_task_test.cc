// Detection and segmentation through the trainer: on synthetic scenes, small and for a few steps.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "asmlp/core/atomic_file.h"
#include "asmlp/dataset/synthetic/scenes.h"
#include "asmlp/image/labels/class_color.h"
#include "asmlp/torch/baselines/make_classifier.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/io/initial_weights.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/segment/segmentor_file.h"
#include "asmlp/torch/train/pictures.h"
#include "asmlp/torch/train/tasks/detect_task.h"
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
    o.schedule.milestones = {{1}};
    o.optimizer.model_ema = true;
    return o;
  }
  // The same without masks.
  TrainOptions boxes() {
    TrainOptions o = detection();
    nlohmann::json& config = o.model.choice.description["config"];
    config["kind"] = "cascade_rcnn";
    config.erase("mask_head");
    return o;
  }
  // From the annotations of both splits whose id is `chosen`.
  void remove_outlines(const std::function<bool(int64_t id)>& chosen) {
    for (const char* split : {"train2017", "val2017"}) {
      const fs::path file =
          folder_.path() / "scenes/annotations" / fmt::format("instances_{}.json", split);
      auto json = nlohmann::json::parse(read_file(file));
      for (auto& annotation : json["annotations"]) {
        if (chosen(annotation["id"].get<int64_t>())) annotation.erase("segmentation");
      }
      std::ofstream(file) << json.dump();
    }
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

TEST_F(DenseTask, ADetectorOfBoxesTrainsResumesAndIsExported) {
  remove_outlines([](int64_t) { return true; });
  expect_resumable(boxes(), 4);
  const auto file = detect::load_detector(folder_.path() / "whole" / "final.safetensors");
  EXPECT_EQ(file.spec.config.kind, DetectorKind::kCascadeRcnn);
  for (const auto& [name, tensor] : nn::export_state(*file.net)) {
    EXPECT_THAT(name, testing::Not(HasSubstr("mask")));
  }
  EXPECT_THAT(read_file(folder_.path() / "whole" / "summary.csv"),
              testing::StartsWith("epoch,train_loss,eval_bbox_AP,eval_bbox_AP50,eval_bbox_AP75,"
                                  "lr\n"));
}

// Outlines are needed for masks: all, some, or an error that says what to train instead.
TEST_F(DenseTask, MasksAreTrainedFromTheOutlinesThatThereAre) {
  EXPECT_EQ(default_detector(detection()), "mask_rcnn_asmlp_tiny");
  remove_outlines([](int64_t id) { return id % 2 == 0; });
  EXPECT_EQ(default_detector(detection()), "mask_rcnn_asmlp_tiny");
  Observer quiet;
  TrainOptions options = detection();
  options.schedule.epochs = 1;
  options.schedule.milestones = {};
  Trainer mixed = trainer(options, "mixed");
  ASSERT_EQ(mixed.run(quiet), Outcome::kFinished);
  EXPECT_THAT(read_file(folder_.path() / "mixed" / "summary.csv"), HasSubstr("eval_segm_AP"));

  remove_outlines([](int64_t) { return true; });
  EXPECT_EQ(default_detector(detection()), "faster_rcnn_asmlp_tiny");
  const std::string error = test::error_of(ErrorCode::kMismatch, [&] { trainer(options, "none"); });
  for (const char* word : {"instances_train2017.json", "outline", "faster_rcnn_asmlp_tiny"}) {
    EXPECT_THAT(error, HasSubstr(word));
  }
}

// A detector of boxes starts from one of masks, whose mask heads are left over, and the other way
// round, where they start anew.
TEST_F(DenseTask, MaskHeadsAreLeftOverOrStartAnew) {
  const auto path = folder_.path() / "start.safetensors";
  for (const auto& [from, to, note] :
       {std::tuple{detection(), boxes(), "12 unexpected (roi_head.mask_head.0.conv"},
        std::tuple{boxes(), detection(), "12 missing (roi_head.mask_head.0.conv"}}) {
    const auto spec = std::get<DetectorSpec>(from.model.choice.resolve(Task::kDetect).model);
    detect::DetectorNet net(spec.config);
    detect::save_detector(path, spec, *net);
    const auto target = std::get<DetectorSpec>(to.model.choice.resolve(Task::kDetect).model);
    detect::DetectorNet started(target.config);
    const auto notes = nn::load_initial_weights(*started, {target}, path);
    EXPECT_THAT(notes, testing::Contains(HasSubstr(note)));
    const TensorMap before = nn::export_state(*net);
    for (const auto& [name, tensor] : nn::export_state(*started)) {
      if (!before.contains(name)) continue;
      EXPECT_EQ(to_f32(tensor), to_f32(before.at(name))) << name;
    }
  }
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
  EXPECT_THAT(
      t.load_initial_weights(),
      testing::Contains(HasSubstr("the head starts anew: 10 classes, and the file's has 4")));
  Observer quiet;
  t.run(quiet, nullptr, 0);
  const TensorMap state =
      read_safetensors(folder_.path() / "from_detector" / "last.safetensors").tensors;
  EXPECT_EQ(to_f32(state.at("model.rpn_head.rpn_cls.weight")),
            to_f32(read_safetensors(path).tensors.at("rpn_head.rpn_cls.weight")));
}

// A detector and a segmentor with a frozen stage: its output's norm, too.
TEST_F(DenseTask, FrozenStagesStayAsTheyAreToTheBit) {
  for (TrainOptions options : {detection(), segmentation()}) {
    const std::string name = to_string(options.model.task);
    options.schedule.epochs = 1;
    options.optimizer.freeze = 1;
    options.optimizer.layer_decay = 0.9;
    options.optimizer.model_ema = true;
    Observer quiet;
    trainer(options, name + "0").run(quiet, nullptr, 0);
    trainer(options, name).run(quiet);
    const auto tensors = [&](const std::string& folder) {
      return read_safetensors(folder_.path() / folder / "last.safetensors").tensors;
    };
    const TensorMap before = tensors(name + "0"), after = tensors(name);
    int frozen = 0;
    for (const auto& [key, tensor] : before) {
      for (const char* part :
           {".backbone.patch_embed.", ".backbone.layers.0.", ".backbone.norm0."}) {
        if (key.find(part) == std::string::npos) continue;
        ++frozen;
        EXPECT_EQ(to_f32(tensor), to_f32(after.at(key))) << key;
      }
    }
    EXPECT_GT(frozen, 20);
    const std::string trained = "model.backbone.layers.1.blocks.0.mlp.fc1.weight";
    EXPECT_NE(to_f32(before.at(trained)), to_f32(after.at(trained)));
  }
}

// A segmentor's weights of classes: of another number an error that says what to do, by the pixels
// of the training labels, and none.
TEST_F(DenseTask, ClassWeightsOfASegmentor) {
  TrainOptions options = segmentation();
  nlohmann::json model = options.model.choice.description;
  model["config"]["num_classes"] = 2;
  model["config"]["class_weights"] = {1, 2};
  options.model.choice = model.dump();
  EXPECT_THAT(test::error_of([&] { trainer(options, "wrong"); }).what(),
              AllOf(HasSubstr("2 numbers"), HasSubstr("11 classes"), HasSubstr("--class-weights")));
  using Kind = ClassWeights::Kind;
  for (const Kind kind : {Kind::kNone, Kind::kBalanced}) {
    options.class_weights.kind = kind;
    options.schedule.epochs = 1;
    const std::string name = kind == Kind::kNone ? "none" : "balanced";
    Observer quiet;
    trainer(options, name).run(quiet);
    const auto file = segment::load_segmentor(folder_.path() / name / "final.safetensors");
    const std::vector<double>& weights = file.spec.config.class_weights;
    EXPECT_EQ(weights.size(), kind == Kind::kNone ? 0u : 11u);
    if (kind == Kind::kBalanced) {
      // The background has most pixels.
      EXPECT_LT(weights[0], 1);
      EXPECT_GT(*std::ranges::max_element(weights), 1);
    }
  }
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

TEST_F(DenseTask, HoldsOutImagesWhereThereIsNoValidationSplit) {
  const fs::path root = folder_.path() / "scenes";
  fs::remove_all(root / "val2017");
  fs::remove(root / "annotations/instances_val2017.json");
  fs::remove_all(root / "images/validation");
  fs::remove_all(root / "annotations/validation");
  for (TrainOptions options : {detection(), segmentation()}) {
    EXPECT_THAT(test::error_of(ErrorCode::kNotFound, [&] { make_task(options, "x", *world_); }),
                HasSubstr("--val-fraction 0.1"));
    options.model.val_fraction = 0.25;
    const auto task = make_task(options, "x", *world_);
    EXPECT_EQ(task->facts().training_images + task->facts().validation_images, 8);
    EXPECT_GE(task->facts().validation_images, 1);
    EXPECT_LE(task->facts().validation_images, 2);
  }
}

// Labels are those of the training split's names, whatever the ids of either file.
TEST_F(DenseTask, SplitsAreMatchedByTheNamesOfTheirClasses) {
  const fs::path file = folder_.path() / "scenes/annotations/instances_val2017.json";
  auto coco = nlohmann::json::parse(read_file(file));
  for (auto& category : coco["categories"]) category["id"] = 30 - category["id"].get<int>();
  for (auto& a : coco["annotations"]) a["category_id"] = 30 - a["category_id"].get<int>();
  std::ofstream(file) << coco.dump();
  EXPECT_EQ(make_task(detection(), "x", *world_)->facts().classes.front(), "0");
  for (auto& category : coco["categories"]) category["name"] = "my " + category["name"].dump();
  std::ofstream(file) << coco.dump();
  EXPECT_THAT(test::error_of(ErrorCode::kMismatch, [&] { make_task(detection(), "x", *world_); }),
              AllOf(HasSubstr("instances_val2017.json"), HasSubstr("only in the file: 'my ")));
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
