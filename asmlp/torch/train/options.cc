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

}  // namespace

LearningRates TrainOptions::learning_rates(int world) const {
  const bool classifies = model.task == Task::kClassify;
  const auto scaled = [&](double rate) {
    return rate * double(schedule.global_batch(world)) / classification.lr_base_size;
  };
  LearningRates rates;
  rates.peak = schedule.lr.value_or(scaled(classification.lr_base));
  const double first = classifies                    ? scaled(5e-7)
                       : model.task == Task::kDetect ? rates.peak * 1e-3
                                                     : rates.peak * 1e-6;
  rates.first = schedule.warmup_lr.value_or(first);
  rates.last = schedule.min_lr.value_or(classifies ? scaled(5e-6) : 0);
  return rates;
}

TrainOptions default_options(Task task) {
  TrainOptions o;
  o.model.task = task;
  if (task == Task::kClassify) return o;
  o.optimizer.no_decay = NoDecay::kNorms;
  o.optimizer.clip_grad = 0;
  o.schedule.batch_size = 2;
  o.schedule.warmup_epochs = 0;
  if (task == Task::kDetect) {
    o.model.choice = "mask_rcnn_asmlp_tiny";
    o.schedule.epochs = 12;
    o.schedule.lr = 1e-4;
    o.schedule.decay = Decay::kMultistep;
    o.schedule.milestones = {8, 11};
    o.schedule.warmup_steps = 500;
  } else {
    o.model.choice = "upernet_asmlp_tiny";
    o.schedule.epochs = 10;
    o.dense.steps_per_epoch = 16000;
    o.schedule.lr = 6e-5;
    o.schedule.decay = Decay::kPoly;
    o.schedule.warmup_steps = 1500;
    o.optimizer.weight_decay = 0.01;
    o.run.workers = 4;
  }
  return o;
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
  // Beyond it, YAML readers fall back to floating point.
  require(o.run.seed <= uint64_t{INT64_MAX}, ErrorCode::kInvalidArgument,
          "seed is {}, must be at most 2^63-1", o.run.seed);
  if (task == Task::kClassify) {
    validate(o.classification.augmentation);
  } else {
    require(o.schedule.lr.has_value(), ErrorCode::kInvalidArgument,
            "lr is missing: the task '{}' has no rate that grows with the batch", name_of(task));
  }
  if (task == Task::kDetect) validate(o.detection);
  if (task == Task::kSegment) validate(o.segmentation);
}

std::vector<std::string> check_resumable(const TrainOptions& saved, const TrainOptions& now) {
  // Plain json sorts its keys: the order in which a recipe names the parts of its model is no
  // matter.
  const PlainJson before = to_json(saved), after = to_json(now);
  std::vector<std::string> warnings;
  TrainOptions::visit(now, [&](const char* name, const auto&, const OptionInfo& info) {
    const PlainJson was = before.value(name, PlainJson()), is = after.value(name, PlainJson());
    if (info.on_resume == OnResume::kFree || was == is) return;
    require(info.on_resume == OnResume::kWarns, ErrorCode::kMismatch,
            "cannot resume with another {}: the run was started with {}, now it is {}; leave the "
            "option out, or start a new run in another --output",
            name, was.dump(), is.dump());
    warnings.push_back(fmt::format("{} was {} and is now {}", name, was.dump(), is.dump()));
  });
  return warnings;
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
  validate(architecture);
  return architecture;
}

}  // namespace asmlp::train
