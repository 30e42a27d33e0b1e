// The defaults of the options, by task and start.
#include <algorithm>
#include <cmath>

#include "asmlp/torch/train/options.h"

namespace asmlp::train {
namespace {

// What suits a few hundred or thousand images of one's own.
void fine_tune(TrainOptions& o) {
  o.schedule.lr_base_size = 32;
  o.schedule.decay = Decay::kCosine;
  o.optimizer.clip_grad = 5;
  switch (o.model.task) {
    case Task::kClassify:
      o.schedule.epochs = 30;
      o.schedule.batch_size = 32;
      o.schedule.lr_base = 1e-3;
      o.optimizer.layer_decay = 0.8;
      o.classification.augmentation.scale = {0.35, 1};
      o.classification.mixup.mixup = 0;
      o.classification.mixup.cutmix = 0;
      break;
    case Task::kDetect:
      o.schedule.epochs = 24;
      o.schedule.batch_size = 4;
      o.schedule.lr_base = 2e-4;
      o.schedule.lr_base_size = 4;
      o.optimizer.layer_decay = 0.9;
      break;
    case Task::kSegment:
      o.schedule.epochs = 40;
      o.dense.steps_per_epoch = 0;
      o.schedule.batch_size = 4;
      o.schedule.lr_base = 2e-4;
      o.schedule.lr_base_size = 4;
      o.optimizer.layer_decay = 0.9;
      break;
  }
}

}  // namespace

TrainOptions default_options(Task task, Start start) {
  TrainOptions o;
  o.model.task = task;
  if (task != Task::kClassify) {
    o.optimizer.no_decay = NoDecay::kNorms;
    o.optimizer.clip_grad = 0;
    o.schedule.batch_size = 2;
    o.schedule.lr_base_size = 16;
  }
  if (task == Task::kDetect) {
    o.model.choice = "mask_rcnn_asmlp_tiny";
    o.schedule.epochs = 12;
    o.schedule.lr_base = 1e-4;
    o.schedule.decay = Decay::kMultistep;
    o.schedule.usual_warmup = {.steps = 500};
  } else if (task == Task::kSegment) {
    o.model.choice = "upernet_asmlp_tiny";
    o.schedule.epochs = 10;
    o.dense.steps_per_epoch = 16000;
    o.schedule.lr_base = 6e-5;
    o.schedule.decay = Decay::kPoly;
    o.schedule.usual_warmup = {.steps = 1500};
    o.optimizer.weight_decay = 0.01;
  }
  if (start == Start::kFile) fine_tune(o);
  return o;
}

void fit_to_preprocessing(const Description& model, const std::vector<std::string>& given,
                          TrainOptions& options) {
  const auto is_default = [&](const char* name, const auto& value, const auto& usual) {
    return value == usual && std::ranges::find(given, name) == given.end();
  };
  if (const auto* detector = std::get_if<DetectorSpec>(&model.model)) {
    const detect::TrainTransformOptions usual;
    detect::TrainTransformOptions& o = options.detection;
    const DenseInput published, &input = detector->preprocessing;
    const double share = double(input.short_side) / published.short_side;
    const auto fit = [&](int& side) { side = std::max(1, int(std::lround(side * share))); };
    const auto fit_all = [&](std::vector<int>& sides) {
      std::ranges::for_each(sides, fit);
      sides.erase(std::unique(sides.begin(), sides.end()), sides.end());
    };
    if (is_default("short-sides", o.short_sides, usual.short_sides)) fit_all(o.short_sides);
    if (is_default("long-side", o.long_side, usual.long_side)) o.long_side = input.long_side;
    if (is_default("crop-short-sides", o.crop_short_sides, usual.crop_short_sides)) {
      fit_all(o.crop_short_sides);
    }
    if (is_default("crop-size", o.crop_size, usual.crop_size))
      std::ranges::for_each(o.crop_size, fit);
  } else if (const auto* segmentor = std::get_if<SegmentorSpec>(&model.model)) {
    if (is_default("crop", options.segmentation.crop, segment::TrainTransformOptions().crop)) {
      options.segmentation.crop = segmentor->preprocessing.short_side;
    }
  }
}

void use_optimizer(TrainOptions& options, Opt opt) {
  if (options.optimizer.opt == opt) return;
  const TrainOptions usual = default_options(options.model.task);
  options.optimizer.opt = opt;
  options.optimizer.weight_decay = usual.optimizer.weight_decay;
  options.schedule.lr.reset();
  options.schedule.lr_base = usual.schedule.lr_base;
  options.schedule.lr_base_size = usual.schedule.lr_base_size;
  options.optimizer.momentum = opt == Opt::kMuon ? 0.95 : usual.optimizer.momentum;
  if (opt != Opt::kSgd) return;
  switch (options.model.task) {
    case Task::kClassify:  // Goyal et al. 2017
      options.schedule.lr_base = 0.1;
      options.schedule.lr_base_size = 256;
      options.optimizer.weight_decay = 1e-4;
      break;
    case Task::kDetect:  // mmdetection's schedule_1x
      options.schedule.lr_base = 0.02;
      options.optimizer.weight_decay = 1e-4;
      break;
    case Task::kSegment:  // mmsegmentation's schedule_160k
      options.schedule.lr_base = 0.01;
      options.optimizer.weight_decay = 5e-4;
      break;
  }
}

}  // namespace asmlp::train
