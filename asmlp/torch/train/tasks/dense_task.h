// What the tasks on dense predictions, detection and segmentation, share.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/model/description/model_name.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/io/initial_weights.h"
#include "asmlp/torch/nn/backbone.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// Batches for training, as the options say, and one image at a time for validation.
data::LoaderOptions training_loading(const TrainOptions& options, data::Remainder remainder,
                                     const dist::World& world);
data::LoaderOptions validation_loading(const TrainOptions& options, const dist::World& world);

// The spec to train: the chosen model with drop_path and the data's classes, called
// "<model>.<tag>". A segmentor's `class_weights` (empty: none) replace the model's when
// `weights_given`. Error(kInvalidArgument) when those of the model are for another number of
// classes.
template <typename Spec>
Spec dense_spec_to_train(const ModelOptions& options, const std::string& tag,
                         const std::vector<std::string>& classes, bool weights_given = false,
                         const std::vector<double>& class_weights = {}) {
  auto spec = std::get<Spec>(options.choice.resolve(options.task).model);
  const std::string name = model_name({spec});
  spec.name = name.substr(0, name.find('.')) + "." + tag;
  spec.config.num_classes = options.num_classes.value_or(static_cast<int>(classes.size()));
  require(spec.config.num_classes == static_cast<int>(classes.size()), ErrorCode::kInvalidArgument,
          "num-classes {}: the data set has {} classes; leave the option out",
          spec.config.num_classes, classes.size());
  if (spec.classes != classes) spec.palette.clear();
  spec.classes = classes;
  spec.preprocessing.exif = options.exif_of_data();
  if (options.drop_path) spec.config.backbone.drop_path = *options.drop_path;
  if constexpr (requires { spec.config.class_weights; }) {
    if (weights_given) spec.config.class_weights = class_weights;
    const size_t weights = spec.config.class_weights.size();
    require(weights == 0 || weights == classes.size(), ErrorCode::kInvalidArgument,
            "the model's class_weights are {} numbers, the data set has {} classes: take them out "
            "of the recipe, or give --class-weights: one number per class, balanced, or none",
            weights, classes.size());
  }
  validate(spec);
  return spec;
}

// What makes two specs the same for a run that goes on (TrainingTask::model_json).
template <typename Spec>
std::string essence_of(Spec spec) {
  spec.name.clear();
  spec.classes.clear();
  spec.palette.clear();
  spec.origin.clear();
  return to_json(spec);
}

// A task on a Spec of the network `Net`, whose namespace has validate, to_json, multiply_adds; what
// differs is data, loss, validation, and how a network is saved.
template <typename Spec, typename Net>
class DenseTask : public TrainingTask {
 public:
  using Impl = typename Net::ContainedType;

  const TaskFacts& facts() const final { return facts_; }
  std::string model_json() const final { return essence_of(spec_); }

  std::shared_ptr<torch::nn::Module> make_model() const final {
    Net net(spec_.config);
    net->set_world(&world_);
    net->backbone()->set_checkpointing(options_.run.grad_checkpointing);
    return net.ptr();
  }

  std::vector<std::string> load_initial_weights(torch::nn::Module& model,
                                                const std::filesystem::path& path) const final {
    return nn::load_initial_weights(model, {spec_}, path);
  }

  void write_model(const std::filesystem::path& path, const torch::nn::Module& model,
                   const std::map<std::string, std::string>& origin) const final {
    Spec described = spec_;
    for (const auto& [key, value] : origin) described.origin.insert_or_assign(key, value);
    save(path, described, static_cast<const Impl&>(model));
  }

 protected:
  DenseTask(const TrainOptions& options, Spec spec, dist::World& world)
      : options_(options), world_(world), spec_(std::move(spec)) {}

  virtual void save(const std::filesystem::path& path, const Spec& spec, const Impl& net) const = 0;

  static Impl& net_of(torch::nn::Module& model) { return static_cast<Impl&>(model); }

  // facts(), for data of so many images.
  void describe(int64_t training_images, int64_t validation_images, const char* eval_metric) {
    const DenseInput& input = spec_.preprocessing;
    facts_.model = spec_.name;
    facts_.classes = spec_.classes;
    facts_.training_images = training_images;
    facts_.validation_images = validation_images;
    facts_.multiply_adds = multiply_adds(spec_.config, input.short_side, input.long_side);
    facts_.image_size = fmt::format("{} x {}", input.short_side, input.long_side);
    facts_.eval_metric = eval_metric;
  }

  TrainOptions options_;
  dist::World& world_;
  Spec spec_;

 private:
  TaskFacts facts_;
};

}  // namespace asmlp::train
