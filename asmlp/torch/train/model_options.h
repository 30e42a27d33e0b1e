// What is trained on which data: the first group of a run's options (options.h).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/image/decode.h"
#include "asmlp/model/description/description.h"
#include "asmlp/model/exif.h"
#include "asmlp/schema/codec.h"
#include "asmlp/schema/option_info.h"

namespace asmlp::train {

// A model as a user names it.
struct ModelChoice {
  // Of the zoo, of a .json, .yaml or .yml file, or of a file of weights; "" with a description.
  std::string name;
  nlohmann::json description;  // an object as such a file holds it, or null

  // A name, or a JSON object in text (it begins with '{').
  ModelChoice(const std::string& text);                              // NOLINT: a name is a choice
  ModelChoice(const char* text) : ModelChoice(std::string(text)) {}  // NOLINT

  // Whether the name is that of a file of weights that is there.
  bool is_weight_file() const;

  // The model, which must be one of `task`; of a file of weights what it says of itself
  // (load_model_file). Errors: resolve_description's and load_model_file's; kNotFound for a file of
  // weights that is not there.
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
  std::optional<Exif> exif;
  std::optional<int64_t> max_pixels;

  // What is done with EXIF orientation: `exif`, else what the user's description of the model says,
  // else it is applied. The zoo's models and weight files say how they are evaluated, not how own
  // data should be read.
  Exif exif_of_data() const;
  // How the pictures of a classifier are decoded.
  DecodeOptions decoding() const;

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
                     "Zoo name (see `asmlp info`), a .json/.yaml file with config and "
                     "preprocessing, or a file of weights (.safetensors, .pth), whose model is "
                     "trained on: with its weights, unless initial-checkpoint names others",
                     OnResume::kFixed,
                     'm'});
    field("num-classes", self.num_classes,
          OptionInfo{{}, "Outputs of the head (default: the data set's number of classes)"});
    field("drop-path", self.drop_path,
          OptionInfo{{}, "Largest stochastic-depth rate (default: the model's)"});
    field(
        "initial-checkpoint", self.initial_checkpoint,
        OptionInfo{{},
                   "Start from the weights in this file (.safetensors, or the authors' .pth); "
                   "the head starts anew unless the file has all of the data's classes, by name"});
    field("exif", self.exif,
          OptionInfo{{},
                     "EXIF orientation of the data: apply (turn pictures upright) or ignore (take "
                     "the stored pixels, as the authors' ImageNet training does); kept in the "
                     "model's file (default: apply)"});
    field("max-pixels", self.max_pixels,
          OptionInfo{{.low = 1, .high = 1e10},
                     "Refuse larger pictures (default 89478485)",
                     OnResume::kFree});
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

// Where the model is a file of weights: its description takes the place of the name (without class
// names, origin, and weights of classes, which belong to its data), so that the run does not depend
// on the file any more, and its weights are the start unless initial_checkpoint names others.
// Returns what to say about it. Errors: resolve's.
std::vector<std::string> take_weight_file(ModelOptions& options);

}  // namespace asmlp::train

namespace asmlp {

// A name as text, a description as an object.
template <>
struct Codec<train::ModelChoice> {
  static nlohmann::ordered_json write(const train::ModelChoice& value);
  static void read(const nlohmann::json& json, train::ModelChoice& value, const std::string& where);
};

}  // namespace asmlp
