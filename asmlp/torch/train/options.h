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
#include "asmlp/torch/optim/optimizer.h"
#include "asmlp/torch/optim/schedule.h"
#include "asmlp/torch/segment/train_transform.h"
#include "asmlp/torch/train/class_weights.h"
#include "asmlp/torch/train/model_options.h"
#include "asmlp/torch/train/run_options.h"

namespace asmlp::train {

// What only classification has.
struct ClassifyOptions {
  std::optional<int> img_size;
  // Smaller images at first: many epochs for the time of few (progressive resizing, Howard, 2018).
  int early_size = 0;
  int64_t early_epochs = 0;
  data::Augmentation augmentation;
  data::MixupOptions mixup;

  static void visit(auto& self, auto&& field) {
    under("Data and model", field)(
        "img-size", self.img_size,
        OptionInfo{{}, "Side of the input in pixels (default: the model's)"});
    under("Augmentation", field)(
        "early-size", self.early_size,
        OptionInfo{{.low = 0, .high = 1 << 14},
                   "Side of the training input in pixels during the first early-epochs, which are "
                   "cheaper the smaller it is; 0: the same in all epochs"});
    under("Augmentation", field)("early-epochs", self.early_epochs,
                                 OptionInfo{{.low = 0}, "Epochs that are trained at early-size"});
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
  ClassWeights class_weights;  // of classifiers and segmentors

  // The options of model.task, in the order of --help.
  static void visit(auto& self, auto&& field) {
    ModelOptions::visit(self.model, under("Data and model", field));
    ScheduleOptions::visit(self.schedule, under("Optimization", field));
    OptimizerOptions::visit(self.optimizer, under("Optimization", field));
    switch (self.model.task) {
      case Task::kClassify:
        ClassifyOptions::visit(self.classification, field);
        visit_class_weights(self, field);
        break;
      case Task::kDetect:
        CocoDataOptions::visit(self.coco, under("Data and model", field));
        DenseOptions::visit(self.dense, under("Optimization", field));
        detect::TrainTransformOptions::visit(self.detection, under("Detection", field));
        break;
      case Task::kSegment:
        DenseOptions::visit(self.dense, under("Optimization", field));
        visit_class_weights(self, field);
        segment::TrainTransformOptions::visit(self.segmentation, under("Segmentation", field));
        break;
    }
    RunOptions::visit(self.run, under("Run", field));
  }

  static void visit_class_weights(auto& self, auto&& field) {
    under("Optimization", field)(
        "class-weights", self.class_weights,
        OptionInfo{{},
                   "How much the images (segment: pixels) of each class count in the loss: numbers "
                   "in the order of the classes, balanced (by their number in training), or none"});
  }

  // Of a run by `world` processes. The peak that is not given is lr_base times the global batch /
  // lr_base_size. AdamW's classifiers start at 5e-7 and end at 5e-6 of that batch / 512, the
  // authors' values; SGD's at 1e-3 and 1e-2 of the peak. Detectors and segmentors start at 1e-3 and
  // 1e-6 of the peak and end at 0.
  LearningRates learning_rates(int world) const;
};

// Where the weights come from.
enum class Start {
  kFresh,  // from random weights, or a backbone of ImageNet
  kFile,   // from a whole model that a file of weights describes (--model FILE)
};

// kFresh: the authors' recipe of a task, for detection Mask R-CNN's and Cascade's 1x schedule (12
// epochs), for segmentation UPerNet's 160,000 steps. kFile: what recipes/finetune_*.yaml spell out,
// for data sets of some hundred images and more.
TrainOptions default_options(Task task, Start start = Start::kFresh);

// The sizes of a detector's and a segmentor's training images are by default those for the
// published preprocessing. Where they are, and their names are not among `given`, they are brought
// to that of the model: sides of a detector in proportion to its short_side (long-side is its own),
// the crop of a segmentor its short_side.
void fit_to_preprocessing(const Description& model, const std::vector<std::string>& given,
                          TrainOptions& options);

// Changes the optimizer, and with it what belongs to it: lr, lr-base, lr-base-size, weight-decay
// become the usual ones of the new one. Nothing happens when it is that one.
void use_optimizer(TrainOptions& options, Opt opt);

// The names of a task's options in the order of TrainOptions::visit; without a task those of all,
// each once.
std::vector<std::string> option_names(std::optional<Task> task = {});

// An object with every option of the task that has a value.
nlohmann::ordered_json to_json(const TrainOptions& options);

// Changes the options that the object names ('-' and '_' are the same in keys). One that is named
// takes the place of others: opt as use_optimizer does, before all else; warmup-epochs that of
// warmup-steps, and the other way round.
// Error(kInvalidArgument) that names `what` and the key: unknown keys, options of another task, a
// task that is not options.model.task, values of the wrong type.
void read_options(const nlohmann::json& json, const std::string& what, TrainOptions& options);

// read_options over the defaults of the object's "task".
TrainOptions options_from_json(const nlohmann::json& json, const std::string& what);

// Error(kInvalidArgument) naming the first option outside its range.
void validate(const TrainOptions& options);

// The classifier to train: the chosen model with num_classes (the option, else `classes` when that
// is not 0), img_size and drop_path applied.
Architecture resolve_model(const TrainOptions& options, int classes);

}  // namespace asmlp::train
