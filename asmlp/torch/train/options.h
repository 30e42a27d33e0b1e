// Everything that a training run depends on. Each group of options stands beside the code that uses
// it and visits its fields; the command line, recipes (YAML), the JSON inside checkpoints and the
// check on resume all walk TrainOptions::visit.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/data/augment/mixup.h"
#include "asmlp/torch/data/augment/transforms.h"
#include "asmlp/torch/detect/data/train_transform.h"
#include "asmlp/torch/segment/train_transform.h"
#include "asmlp/torch/train/adamw.h"
#include "asmlp/torch/train/model_options.h"
#include "asmlp/torch/train/run_options.h"
#include "asmlp/torch/train/schedule.h"

namespace asmlp::train {

// What only classification has.
struct ClassifyOptions {
  std::optional<int> img_size;
  double lr_base = 5e-4;
  int lr_base_size = 512;
  data::Augmentation augmentation;
  data::MixupOptions mixup;

  static void visit(auto& self, auto&& field) {
    under("Data and model", field)(
        "img-size", self.img_size,
        OptionInfo{{}, "Side of the input in pixels (default: the model's)"});
    const auto optimization = under("Optimization", field);
    optimization("lr-base", self.lr_base,
                 OptionInfo{{.above = 0}, "Peak learning rate at lr-base-size"});
    optimization("lr-base-size", self.lr_base_size,
                 OptionInfo{{.low = 1}, "Batch size lr-base is for"});
    data::Augmentation::visit(self.augmentation, under("Augmentation", field));
    data::MixupOptions::visit(self.mixup, under("Augmentation", field));
  }
};

// What detection and segmentation share.
struct DenseOptions {
  int64_t steps_per_epoch = 0;

  static void visit(auto& self, auto&& field) {
    field("steps-per-epoch", self.steps_per_epoch,
          OptionInfo{{.low = 0},
                     "Steps of what counts as an epoch, for validation and for the milestones; 0: "
                     "one pass over the training images"});
  }
};

// The defaults are the authors' recipe for classification (Lian et al., ICLR 2022; their
// config.py); default_options has those of the other tasks.
struct TrainOptions {
  ModelOptions model;
  ScheduleOptions schedule;
  OptimizerOptions optimizer;
  RunOptions run;
  // Of single tasks: visited and used for those only.
  ClassifyOptions classification;
  DenseOptions dense;
  CocoDataOptions coco;
  detect::TrainTransformOptions detection;
  segment::TrainTransformOptions segmentation;

  // The options of model.task, in the order of --help.
  static void visit(auto& self, auto&& field) {
    ModelOptions::visit(self.model, under("Data and model", field));
    ScheduleOptions::visit(self.schedule, under("Optimization", field));
    OptimizerOptions::visit(self.optimizer, under("Optimization", field));
    switch (self.model.task) {
      case Task::kClassify:
        ClassifyOptions::visit(self.classification, field);
        break;
      case Task::kDetect:
        CocoDataOptions::visit(self.coco, under("Data and model", field));
        DenseOptions::visit(self.dense, under("Optimization", field));
        detect::TrainTransformOptions::visit(self.detection, under("Detection", field));
        break;
      case Task::kSegment:
        DenseOptions::visit(self.dense, under("Optimization", field));
        segment::TrainTransformOptions::visit(self.segmentation, under("Segmentation", field));
        break;
    }
    RunOptions::visit(self.run, under("Run", field));
  }

  // Of a run by `world` processes. What is not given is a classifier's by its global batch: that /
  // lr_base_size times lr_base, 5e-7 at first and 5e-6 at last. Detectors and segmentors start at
  // 1e-3 and 1e-6 of the peak and end at 0, whatever the batch.
  LearningRates learning_rates(int world) const;
};

// The authors' recipe of a task: for detection Mask R-CNN's and Cascade's 1x schedule (12 epochs),
// for segmentation UPerNet's 160,000 steps.
TrainOptions default_options(Task task);

// The names of a task's options in the order of TrainOptions::visit; without a task those of all,
// each once.
std::vector<std::string> option_names(std::optional<Task> task = {});

// An object with every option of the task that has a value.
nlohmann::ordered_json to_json(const TrainOptions& options);

// Changes the options that the object names ('-' and '_' are the same in keys).
// Error(kInvalidArgument) that names `what` and the key: unknown keys, options of another task, a
// task that is not options.model.task, values of the wrong type.
void read_options(const nlohmann::json& json, const std::string& what, TrainOptions& options);

// read_options over the defaults of the object's "task".
TrainOptions options_from_json(const nlohmann::json& json, const std::string& what);

// Error(kInvalidArgument) naming the first option outside its range.
void validate(const TrainOptions& options);

// Error(kMismatch) naming the first kFixed option whose value differs, with both values. Returns a
// sentence for each kWarns option that differs.
std::vector<std::string> check_resumable(const TrainOptions& saved, const TrainOptions& now);

// The classifier to train: the chosen model with num_classes (the option, else `classes` when that
// is not 0), img_size and drop_path applied.
Architecture resolve_model(const TrainOptions& options, int classes);

}  // namespace asmlp::train
