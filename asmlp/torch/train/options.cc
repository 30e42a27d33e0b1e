#include "asmlp/torch/train/options.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/nearest.h"

namespace asmlp::train {
namespace {

using PlainJson = nlohmann::json;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// The task that the object names, if it does.
std::optional<Task> task_of(const PlainJson& json, const std::string& what) {
  std::optional<Task> task;
  if (const PlainJson* found = find_field(json, "task", {}, what)) {
    read_json(*found, task.emplace(), what + ": task");
  }
  return task;
}

// Whether the object gives the option a value.
bool names_value(const PlainJson& json, const char* option, const std::string& what) {
  const PlainJson* found = find_field(json, option, {}, what);
  return found != nullptr && !found->is_null();
}

}  // namespace

LearningRates TrainOptions::learning_rates(int world) const {
  const auto batch = double(schedule.global_batch(world));
  LearningRates rates;
  rates.peak = schedule.lr.value_or(schedule.lr_base * batch / schedule.lr_base_size);
  switch (model.task) {
    case Task::kClassify:
      rates.first = optimizer.opt == Opt::kSgd ? rates.peak * 1e-3 : 5e-7 * batch / 512;
      rates.last = optimizer.opt == Opt::kSgd ? rates.peak * 1e-2 : 5e-6 * batch / 512;
      break;
    case Task::kDetect:
      rates.first = rates.peak * 1e-3;
      break;
    case Task::kSegment:
      rates.first = rates.peak * 1e-6;
      break;
  }
  if (schedule.warmup_lr) rates.first = *schedule.warmup_lr;
  if (schedule.min_lr) rates.last = *schedule.min_lr;
  return rates;
}

std::vector<std::string> option_names(std::optional<Task> task) {
  std::vector<std::string> names;
  for (const auto& [one, name] : names_of(Task())) {
    if (task && one != *task) continue;
    const TrainOptions options = default_options(one);
    TrainOptions::visit(options, [&](const char* option, const auto&, const OptionInfo&) {
      if (!contains(names, option)) names.emplace_back(option);
    });
  }
  return names;
}

nlohmann::ordered_json to_json(const TrainOptions& options) {
  nlohmann::ordered_json json = fields_to_json(options);
  const nlohmann::ordered_json defaults = fields_to_json(default_options(options.model.task));
  // A null is worth saying only where it is not the default.
  for (const auto& [name, value] : defaults.items()) {
    if (value.is_null() && json[name].is_null()) json.erase(name);
  }
  return json;
}

void read_options(const PlainJson& json, const std::string& what, TrainOptions& options) {
  require_object(json, what);
  const Task task = options.model.task;
  const std::vector<std::string> own = option_names(task), all = option_names();
  for (const auto& [key, value] : json.items()) {
    const std::string name = with_dashes(key);
    require(contains(all, name), ErrorCode::kInvalidArgument, "{}: unknown option '{}'{}", what,
            key, did_you_mean(name, all));
    require(contains(own, name), ErrorCode::kInvalidArgument,
            "{}: {} is no option of the task '{}'; leave it out", what, name, name_of(task));
  }
  const Task named = task_of(json, what).value_or(task);
  require(named == task, ErrorCode::kInvalidArgument,
          "{}: the task is '{}' here and '{}' in what comes before; change it there", what,
          name_of(named), name_of(task));
  if (const PlainJson* found = find_field(json, "opt", {}, what)) {
    Opt opt{};
    read_json(*found, opt, what + ": opt");
    use_optimizer(options, opt);
  }
  const bool epochs = names_value(json, "warmup-epochs", what);
  const bool steps = names_value(json, "warmup-steps", what);
  if (epochs && !steps) options.schedule.warmup_steps.reset();
  if (steps && !epochs) options.schedule.warmup_epochs.reset();
  read_json(json, options, what);
}

TrainOptions options_from_json(const PlainJson& json, const std::string& what) {
  require_object(json, what);
  TrainOptions options = default_options(task_of(json, what).value_or(Task::kClassify));
  read_options(json, what, options);
  return options;
}

void validate(const TrainOptions& o) {
  const Task task = o.model.task;
  const bool named = task == Task::kDetect && !o.coco.train_annotations.empty();
  require(!o.model.data.empty() || named, ErrorCode::kInvalidArgument,
          "data is missing: a folder; give it as the first argument or in the recipe{}",
          task == Task::kDetect ? ", or --train-images and --train-annotations" : "");
  check_ranges(o, "");
  validate(o.schedule);
  validate(o.optimizer);
  validate(o.class_weights);
  // Beyond it, YAML readers fall back to floating point.
  require(o.run.seed <= uint64_t{INT64_MAX}, ErrorCode::kInvalidArgument,
          "seed is {}, must be at most 2^63-1", o.run.seed);
  if (task == Task::kClassify) validate(o.classification.augmentation);
  if (task == Task::kDetect) validate(o.detection);
  if (task == Task::kSegment) validate(o.segmentation);
}

Architecture resolve_model(const TrainOptions& options, int classes) {
  const ModelOptions& model = options.model;
  auto architecture = std::get<Architecture>(model.choice.resolve(Task::kClassify).model);
  ModelSpec& spec = architecture.spec;
  if (model.num_classes || classes > 0) {
    spec.config.num_classes = model.num_classes.value_or(classes);
    spec.classes.clear();
  }
  if (options.classification.img_size) {
    spec.preprocessing.size = *options.classification.img_size;
  }
  if (model.drop_path) spec.config.drop_path = *model.drop_path;
  spec.preprocessing.exif = model.exif_of_data();
  validate(architecture);
  return architecture;
}

}  // namespace asmlp::train
