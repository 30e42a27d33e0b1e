#include "asmlp/torch/train/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"

namespace asmlp::train {
namespace {

using Json = nlohmann::ordered_json;

std::string canonical(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

void read(const Json& value, std::string& field) {
  field = value.is_string() ? value.get<std::string>() : value.dump();
}
void read(const Json& value, bool& field) { field = value.get<bool>(); }
void read(const Json& value, double& field) { field = value.get<double>(); }
template <typename Int>
requires std::is_integral_v<Int>
void read(const Json& value, Int& field) {
  // get<int>() would silently cut 1.5 and 2^40. 1e3 is an integer, as in YAML.
  bool fits = false;
  if (value.is_number_unsigned()) {
    fits = std::in_range<Int>(value.get<uint64_t>());
  } else if (value.is_number_integer()) {
    fits = std::in_range<Int>(value.get<int64_t>());
  } else if (value.is_number_float()) {
    const double number = value.get<double>();
    fits = std::abs(number) < 0x1p53 && number == std::trunc(number) &&
           std::in_range<Int>(static_cast<int64_t>(number));
  }
  if (!fits) throw std::range_error("not an integer in range");
  field = value.get<Int>();
}
void read(const Json& value, std::vector<int>& field) {
  if (!value.is_array()) throw std::range_error("a list of integers is needed");
  field.clear();
  for (const Json& item : value) read(item, field.emplace_back());
}
void read(const Json& value, std::array<double, 2>& field) {
  if (!value.is_array() || value.size() != 2) throw std::range_error("two numbers are needed");
  field = {value[0].get<double>(), value[1].get<double>()};
}
template <typename T>
void read(const Json& value, std::optional<T>& field) {
  if (value.is_null()) {
    field.reset();
  } else {
    read(value, field.emplace());
  }
}

template <typename T>
Json write(const T& field) {
  return field;
}
template <typename T>
Json write(const std::optional<T>& field) {
  return field ? Json(*field) : Json();
}
Json write(const std::string& field) {
  return field.starts_with('{') ? Json::parse(field) : Json(field);
}

Json to_json_object(const TrainOptions& options) {
  Json object = Json::object();
  const TaskKind kind = options.kind();
  visit_options(options, [&](const OptionInfo& info, const auto& field) {
    if (!info.belongs_to(kind)) return;
    Json value = write(field);
    if (!value.is_null()) object[info.name] = std::move(value);
  });
  return object;
}

}  // namespace

data::Augmentation TrainOptions::augmentation() const {
  data::Augmentation a;
  a.crop_padding = crop_padding;
  a.scale = scale;
  a.ratio = ratio;
  if (interpolation == "random") {
    a.interpolation.reset();
  } else {
    a.interpolation =
        interpolation == "bilinear" ? Interpolation::kBilinear : Interpolation::kBicubic;
  }
  a.hflip = hflip;
  a.rand_augment = data::parse_rand_augment(aa);
  a.color_jitter = color_jitter;
  a.erase_probability = reprob;
  a.erase_mode = remode == "pixel" ? data::EraseMode::kPixel : data::EraseMode::kConst;
  a.erase_count = recount;
  return a;
}

TaskKind TrainOptions::kind() const {
  if (task == "classify") return TaskKind::kClassify;
  if (task == "detect") return TaskKind::kDetect;
  require(task == "segment", ErrorCode::kInvalidArgument,
          "task {}: must be classify, detect or segment", task);
  return TaskKind::kSegment;
}

double TrainOptions::first_lr(int world) const {
  if (warmup_lr) return *warmup_lr;
  if (kind() == TaskKind::kClassify) return scaled(5e-7, world);
  return peak_lr(world) * (kind() == TaskKind::kDetect ? 1e-3 : 1e-6);
}

double TrainOptions::last_lr(int world) const {
  return min_lr.value_or(kind() == TaskKind::kClassify ? scaled(5e-6, world) : 0);
}

TrainOptions default_options(TaskKind kind) {
  TrainOptions o;
  if (kind == TaskKind::kClassify) return o;
  o.no_decay = "norm";
  o.batch_size = 2;
  o.clip_grad = 0;
  o.warmup_epochs = 0;
  if (kind == TaskKind::kDetect) {
    o.task = "detect";
    o.model = "mask_rcnn_asmlp_tiny";
    o.epochs = 12;
    o.lr = 1e-4;
    o.sched = "multistep";
    o.decay_milestones = {8, 11};
    o.warmup_steps = 500;
  } else {
    o.task = "segment";
    o.model = "upernet_asmlp_tiny";
    o.epochs = 10;
    o.steps_per_epoch = 16000;
    o.lr = 6e-5;
    o.weight_decay = 0.01;
    o.sched = "poly";
    o.warmup_steps = 1500;
    o.workers = 4;
  }
  return o;
}

std::vector<std::string> option_names() {
  std::vector<std::string> names;
  TrainOptions options;
  visit_options(options, [&](const OptionInfo& info, auto&) { names.emplace_back(info.name); });
  return names;
}

std::string to_json(const TrainOptions& options) { return to_json_object(options).dump(2); }

TrainOptions options_from_json(const std::string& text, const std::string& what) {
  Json object = Json::parse(text, nullptr, false);
  require(object.is_object(), ErrorCode::kBadFormat, "{}: not an object of options", what);
  const std::vector<std::string> names = option_names();
  std::map<std::string, const Json*> values;
  for (const auto& [key, value] : object.items()) {
    const std::string name = canonical(key);
    require(std::find(names.begin(), names.end(), name) != names.end(), ErrorCode::kInvalidArgument,
            "{}: unknown option '{}'{}", what, key, did_you_mean(name, names));
    values[name] = &value;
  }
  TrainOptions options;
  if (const auto task = values.find("task"); task != values.end()) {
    read(*task->second, options.task);
  }
  const TaskKind kind = options.kind();
  options = default_options(kind);
  visit_options(options, [&](const OptionInfo& info, auto& field) {
    const auto found = values.find(info.name);
    if (found == values.end()) return;
    require(info.belongs_to(kind), ErrorCode::kInvalidArgument,
            "{}: {} is no option of the task '{}'; leave it out", what, info.name, options.task);
    try {
      read(*found->second, field);
    } catch (const std::exception& error) {
      fail(ErrorCode::kInvalidArgument, "{}: {} cannot be {}: {}", what, info.name,
           found->second->dump(), error.what());
    }
  });
  return options;
}

void validate(const TrainOptions& o) {
  const auto check = [](bool ok, const char* name, const auto& value, const char* range) {
    require(ok, ErrorCode::kInvalidArgument, "{} {}: must be {}", name, value, range);
  };
  const TaskKind kind = o.kind();
  // An option that would do nothing was meant to do something.
  const TrainOptions defaults = default_options(kind);
  std::map<std::string, Json> unused;
  visit_options(defaults, [&](const OptionInfo& info, const auto& field) {
    if (!info.belongs_to(kind)) unused[info.name] = write(field);
  });
  visit_options(o, [&](const OptionInfo& info, const auto& field) {
    require(info.belongs_to(kind) || write(field) == unused[info.name], ErrorCode::kInvalidArgument,
            "{} is no option of the task '{}'; leave it out", info.name, o.task);
  });
  check(!o.data.empty(), "data", "''", "a folder; give it as the first argument or in the recipe");
  check(o.epochs >= 1, "epochs", o.epochs, "at least 1");
  check(o.batch_size >= 1, "batch-size", o.batch_size, "at least 1");
  check(o.batch_size <= 65536, "batch-size", o.batch_size, "at most 65536");
  check(o.accumulation_steps >= 1 && o.accumulation_steps <= 65536, "accumulation-steps",
        o.accumulation_steps, "1..65536");
  check(o.amp == "off" || o.amp == "bf16" || o.amp == "fp16", "amp", o.amp, "off, bf16 or fp16");
  check(!o.max_bad || *o.max_bad >= 0, "max-bad", o.max_bad.value_or(0), "at least 0");
  check(o.threads >= 0 && o.threads <= 256, "threads", o.threads, "0..256");
  // Beyond it, YAML readers fall back to floating point.
  check(o.seed <= uint64_t{INT64_MAX}, "seed", o.seed, "0..2^63-1");
  check(o.lr_base_size >= 1, "lr-base-size", o.lr_base_size, "at least 1");
  check(o.peak_lr(1) > 0 && std::isfinite(o.peak_lr(1)), "lr", o.peak_lr(1), "above 0");
  check(o.first_lr(1) >= 0, "warmup-lr", o.first_lr(1), "at least 0");
  check(o.last_lr(1) >= 0, "min-lr", o.last_lr(1), "at least 0");
  check(o.warmup_epochs >= 0 && o.warmup_epochs <= o.epochs, "warmup-epochs", o.warmup_epochs,
        "0..epochs");
  check(o.steps_per_epoch >= 0, "steps-per-epoch", o.steps_per_epoch, "at least 0");
  check(o.sched == "cosine" || o.sched == "multistep" || o.sched == "poly", "sched", o.sched,
        "cosine, multistep or poly");
  check(std::ranges::is_sorted(o.decay_milestones), "decay-milestones",
        fmt::format("{}", fmt::join(o.decay_milestones, " ")), "in rising order");
  check(o.decay_rate > 0 && o.decay_rate <= 1, "decay-rate", o.decay_rate, "in (0, 1]");
  check(o.sched_power > 0 && std::isfinite(o.sched_power), "sched-power", o.sched_power, "above 0");
  check(!o.warmup_steps || *o.warmup_steps >= 0, "warmup-steps", o.warmup_steps.value_or(0),
        "at least 0");
  check(o.no_decay == "1d" || o.no_decay == "norm", "no-decay", o.no_decay, "1d or norm");
  check(o.weight_decay >= 0, "weight-decay", o.weight_decay, "at least 0");
  check(o.opt_eps > 0, "opt-eps", o.opt_eps, "above 0");
  for (double beta : o.opt_betas) check(beta >= 0 && beta < 1, "opt-betas", beta, "in [0, 1)");
  check(o.clip_grad >= 0, "clip-grad", o.clip_grad, "at least 0");
  check(o.smoothing >= 0 && o.smoothing < 1, "smoothing", o.smoothing, "in [0, 1)");
  check(o.model_ema_decay >= 0 && o.model_ema_decay < 1, "model-ema-decay", o.model_ema_decay,
        "in [0, 1)");
  if (o.crop_padding) {
    check(*o.crop_padding >= 0 && *o.crop_padding <= 4096, "crop-padding", *o.crop_padding,
          "0..4096");
  }
  check(o.scale[0] > 0 && o.scale[0] <= o.scale[1] && o.scale[1] <= 1, "scale", o.scale[0],
        "low high with 0 < low <= high <= 1");
  check(o.ratio[0] > 0 && o.ratio[0] <= o.ratio[1] && std::isfinite(o.ratio[1]), "ratio",
        o.ratio[0], "low high with 0 < low <= high");
  check(o.hflip >= 0 && o.hflip <= 1, "hflip", o.hflip, "0..1");
  check(o.reprob >= 0 && o.reprob <= 1, "reprob", o.reprob, "0..1");
  check(o.remode == "const" || o.remode == "pixel", "remode", o.remode, "const or pixel");
  check(o.recount >= 1 && o.recount <= 64, "recount", o.recount, "1..64");
  check(
      o.interpolation == "bicubic" || o.interpolation == "bilinear" || o.interpolation == "random",
      "interpolation", o.interpolation, "bicubic, bilinear or random");
  data::parse_rand_augment(o.aa);
  check(o.color_jitter >= 0 && o.color_jitter <= 1, "color-jitter", o.color_jitter, "0..1");
  check(o.mixup >= 0 && std::isfinite(o.mixup), "mixup", o.mixup, "at least 0");
  check(o.cutmix >= 0 && std::isfinite(o.cutmix), "cutmix", o.cutmix, "at least 0");
  check(o.mixup_prob >= 0 && o.mixup_prob <= 1, "mixup-prob", o.mixup_prob, "0..1");
  check(o.mixup_switch_prob >= 0 && o.mixup_switch_prob <= 1, "mixup-switch-prob",
        o.mixup_switch_prob, "0..1");
  check(o.mixup_off_epoch >= 0, "mixup-off-epoch", o.mixup_off_epoch, "at least 0");
  for (const auto& [name, sides] :
       {std::pair{"short-sides", &o.short_sides}, {"crop-short-sides", &o.crop_short_sides}}) {
    check(!sides->empty(), name, "''", "a list of pixels");
    for (int side : *sides) check(side >= 1 && side <= 16384, name, side, "1..16384");
  }
  check(o.long_side >= 1 && o.long_side <= 16384, "long-side", o.long_side, "1..16384");
  check(o.crop_prob >= 0 && o.crop_prob <= 1, "crop-prob", o.crop_prob, "0..1");
  for (double side : o.crop_size) {
    check(side >= 1 && side <= 16384 && side == std::trunc(side), "crop-size", side,
          "whole pixels, 1..16384");
  }
  check(o.crop_size[0] <= o.crop_size[1], "crop-size", o.crop_size[0], "low high");
  check(o.ratio_range[0] > 0 && o.ratio_range[0] <= o.ratio_range[1] && o.ratio_range[1] <= 16,
        "ratio-range", o.ratio_range[0], "low high with 0 < low <= high <= 16");
  check(o.crop >= 1 && o.crop <= 16384, "crop", o.crop, "1..16384");
  check(o.cat_max_ratio > 0 && o.cat_max_ratio <= 1, "cat-max-ratio", o.cat_max_ratio, "in (0, 1]");
  check(o.val_interval >= 1, "val-interval", o.val_interval, "at least 1");
  check(o.checkpoint_interval >= 0, "checkpoint-interval", o.checkpoint_interval, "at least 0");
  check(o.log_interval >= 1, "log-interval", o.log_interval, "at least 1");
}

std::vector<std::string> check_resumable(const TrainOptions& saved, const TrainOptions& now) {
  // Plain json sorts its keys: the order in which a recipe names the parts of its model is no
  // matter.
  using Sorted = nlohmann::json;
  const Sorted before = Sorted::parse(to_json(saved)), after = Sorted::parse(to_json(now));
  std::vector<std::string> warnings;
  visit_options(now, [&](const OptionInfo& info, const auto&) {
    const auto value = [&](const Sorted& object) {
      return object.contains(info.name) ? object[info.name] : Sorted();
    };
    if (info.on_resume == OnResume::kFree || value(before) == value(after)) return;
    require(info.on_resume == OnResume::kWarns, ErrorCode::kMismatch,
            "cannot resume with another {}: the run was started with {}, now it is {}; leave the "
            "option out, or start a new run in another --output",
            info.name, value(before).dump(), value(after).dump());
    warnings.push_back(fmt::format("{} was {} and is now {}", info.name, value(before).dump(),
                                   value(after).dump()));
  });
  return warnings;
}

Architecture resolve_model(const TrainOptions& options, int classes) {
  Architecture architecture = resolve_architecture(options.model);
  ModelSpec& spec = architecture.spec;
  if (options.num_classes || classes > 0) {
    spec.config.num_classes = options.num_classes.value_or(classes);
    spec.classes.clear();
  }
  if (options.img_size) spec.preprocessing.size = *options.img_size;
  if (options.drop_path) spec.config.drop_path = *options.drop_path;
  validate(architecture);
  return architecture;
}

}  // namespace asmlp::train
