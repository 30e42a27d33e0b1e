// What the tasks on dense predictions, detection and segmentation, share.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/torch/data/item_loader.h"
#include "asmlp/torch/dist/world.h"
#include "asmlp/torch/nn/backbone.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// Batches for training, as the options say, and one image at a time for validation.
data::ItemLoaderOptions training_items(const TrainOptions& options, data::Remainder remainder,
                                       const dist::World& world);
data::ItemLoaderOptions validation_items(const TrainOptions& options, const dist::World& world);

// Copies the weights of a file: of a whole network of this kind (it has tensors under
// `head_prefix`) all that have the network's names and shapes, else the backbone's
// (nn/backbone_weights.h). What a user should know. Error(kMismatch) when the backbone's do not
// fit.
std::vector<std::string> load_dense_weights(torch::nn::Module& model, nn::BackboneImpl& backbone,
                                            const std::string& head_prefix,
                                            const std::filesystem::path& path);

// The spec to train: options.model, which is a name of the zoo, a .json, .yaml or .yml file or a
// JSON object in text, with drop_path and the data's classes, called "<model>.<tag>".
template <typename Spec>
Spec dense_spec_to_train(const TrainOptions& options, const std::string& tag,
                         const std::vector<std::string>& classes,
                         Spec (*resolve)(const std::string& model)) {
  Spec spec = resolve(options.model);
  spec.name = spec.name.substr(0, spec.name.find('.')) + "." + tag;
  spec.config.num_classes = options.num_classes.value_or(static_cast<int>(classes.size()));
  require(spec.config.num_classes == static_cast<int>(classes.size()), ErrorCode::kInvalidArgument,
          "num-classes {}: the data set has {} classes; leave the option out",
          spec.config.num_classes, classes.size());
  spec.classes = classes;
  if (options.drop_path) spec.config.backbone.drop_path = *options.drop_path;
  validate(spec);
  return spec;
}

// What makes two specs the same for a run that goes on (Task::model_json).
template <typename Spec>
std::string essence_of(Spec spec) {
  spec.name.clear();
  spec.classes.clear();
  spec.origin.clear();
  return to_json(spec);
}

}  // namespace asmlp::train
