// What is trained on which data: the first group of a run's options (options.h).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "asmlp/model/description/description.h"
#include "asmlp/schema/codec.h"
#include "asmlp/schema/option_info.h"

namespace asmlp::train {

// A model as a user names it.
struct ModelChoice {
  std::string name;  // of the zoo, or of a .json, .yaml or .yml file; "" with a description
  nlohmann::json description;  // an object as such a file holds it, or null

  // A name, or a JSON object in text (it begins with '{').
  ModelChoice(const std::string& text);                              // NOLINT: a name is a choice
  ModelChoice(const char* text) : ModelChoice(std::string(text)) {}  // NOLINT

  // The model, which must be one of `task`. Errors: resolve_description's.
  Description resolve(Task task) const;
  bool operator==(const ModelChoice&) const = default;
};

struct ModelOptions {
  std::string data;
  Task task = Task::kClassify;
  ModelChoice choice = "asmlp_tiny_patch4_shift5_224";
  std::optional<int> num_classes;
  std::optional<double> drop_path;
  std::string initial_checkpoint;
  double val_fraction = 0;

  static void visit(auto& self, auto&& field) {
    field("data", self.data,
          OptionInfo{{},
                     "Data set: a folder with MNIST-style IDX files, or ImageFolder (train/ and "
                     "validation/ or val/, one folder per class), or tar shards; COCO annotations "
                     "as the tools export them (detect); ADE20K's layout (segment)",
                     OnResume::kFree});
    field(
        "val-fraction", self.val_fraction,
        OptionInfo{{.low = 0, .below = 1},
                   "Hold out this part of the training images for validation, drawn by --seed; 0: "
                   "the data's own validation split"});
    field("task", self.task,
          OptionInfo{{},
                     "classify, detect (boxes and masks) or segment; it decides the defaults of "
                     "the other options"});
    field("model", self.choice,
          OptionInfo{{},
                     "Zoo name (see `asmlp info`) or a .json/.yaml file with config and "
                     "preprocessing",
                     OnResume::kFixed,
                     'm'});
    field("num-classes", self.num_classes,
          OptionInfo{{}, "Outputs of the head (default: the data set's number of classes)"});
    field("drop-path", self.drop_path,
          OptionInfo{{}, "Largest stochastic-depth rate (default: the model's)"});
    field("initial-checkpoint", self.initial_checkpoint,
          OptionInfo{{},
                     "Start from the weights in this file (.safetensors, or the authors' .pth); "
                     "the head is left out when the classes differ"});
  }
};

// COCO annotations that are named one by one instead of found in `data`.
struct CocoDataOptions {
  std::string train_images, train_annotations;
  std::string val_images, val_annotations;

  static void visit(auto& self, auto&& field) {
    field("train-images", self.train_images,
          OptionInfo{{}, "Folder of the training images, instead of DATA", OnResume::kFree});
    field("train-annotations", self.train_annotations,
          OptionInfo{{}, "COCO annotation file of --train-images", OnResume::kFree});
    field("val-images", self.val_images,
          OptionInfo{{}, "Folder of the validation images", OnResume::kFree});
    field("val-annotations", self.val_annotations,
          OptionInfo{{}, "COCO annotation file of --val-images", OnResume::kFree});
  }
};

}  // namespace asmlp::train

namespace asmlp {

// A name as text, a description as an object.
template <>
struct Codec<train::ModelChoice> {
  static nlohmann::ordered_json write(const train::ModelChoice& value);
  static void read(const nlohmann::json& json, train::ModelChoice& value, const std::string& where);
};

}  // namespace asmlp
