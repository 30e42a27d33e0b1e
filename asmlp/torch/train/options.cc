#include "asmlp/torch/train/options.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"

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
  visit_options(options, [&](const OptionInfo& info, const auto& field) {
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
  a.hflip = hflip;
  a.erase_probability = reprob;
  a.erase_mode = remode == "pixel" ? data::EraseMode::kPixel : data::EraseMode::kConst;
  return a;
}

std::vector<std::string> option_names() {
  std::vector<std::string> names;
  TrainOptions options;
  visit_options(options, [&](const OptionInfo& info, auto&) { names.emplace_back(info.name); });
  return names;
}

std::string to_json(const TrainOptions& options) { return to_json_object(options).dump(2); }

TrainOptions options_from_json(const std::string& text, const std::string& what,
                               TrainOptions base) {
  Json object = Json::parse(text, nullptr, false);
  require(object.is_object(), ErrorCode::kBadFormat, "{}: not an object of options", what);
  const std::vector<std::string> names = option_names();
  std::map<std::string, const Json*> values;
  for (const auto& [key, value] : object.items()) {
    const std::string name = canonical(key);
    require(std::find(names.begin(), names.end(), name) != names.end(), ErrorCode::kInvalidArgument,
            "{}: unknown option '{}'; did you mean '{}'?", what, key, nearest(name, names));
    values[name] = &value;
  }
  visit_options(base, [&](const OptionInfo& info, auto& field) {
    const auto found = values.find(info.name);
    if (found == values.end()) return;
    try {
      read(*found->second, field);
    } catch (const std::exception& error) {
      fail(ErrorCode::kInvalidArgument, "{}: {} cannot be {}: {}", what, info.name,
           found->second->dump(), error.what());
    }
  });
  return base;
}

void validate(const TrainOptions& o) {
  const auto check = [](bool ok, const char* name, const auto& value, const char* range) {
    require(ok, ErrorCode::kInvalidArgument, "{} {}: must be {}", name, value, range);
  };
  check(!o.data.empty(), "data", "''", "a folder; give it as the first argument or in the recipe");
  check(o.epochs >= 1, "epochs", o.epochs, "at least 1");
  check(o.batch_size >= 1, "batch-size", o.batch_size, "at least 1");
  check(o.threads >= 0 && o.threads <= 256, "threads", o.threads, "0..256");
  // Beyond it, YAML readers fall back to floating point.
  check(o.seed <= uint64_t{INT64_MAX}, "seed", o.seed, "0..2^63-1");
  check(o.peak_lr() > 0 && std::isfinite(o.peak_lr()), "lr", o.peak_lr(), "above 0");
  check(o.lr_base_size >= 1, "lr-base-size", o.lr_base_size, "at least 1");
  check(o.first_lr() >= 0, "warmup-lr", o.first_lr(), "at least 0");
  check(o.last_lr() >= 0, "min-lr", o.last_lr(), "at least 0");
  check(o.warmup_epochs >= 0 && o.warmup_epochs <= o.epochs, "warmup-epochs", o.warmup_epochs,
        "0..epochs");
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
  check(o.val_interval >= 1, "val-interval", o.val_interval, "at least 1");
  check(o.checkpoint_interval >= 0, "checkpoint-interval", o.checkpoint_interval, "at least 0");
  check(o.log_interval >= 1, "log-interval", o.log_interval, "at least 1");
}

void check_resumable(const TrainOptions& saved, const TrainOptions& now) {
  // Plain json sorts its keys: the order in which a recipe names the parts of its model is no
  // matter.
  using Sorted = nlohmann::json;
  const Sorted before = Sorted::parse(to_json(saved)), after = Sorted::parse(to_json(now));
  visit_options(now, [&](const OptionInfo& info, const auto&) {
    if (info.on_resume == OnResume::kFree) return;
    const auto value = [&](const Sorted& object) {
      return object.contains(info.name) ? object[info.name] : Sorted();
    };
    require(value(before) == value(after), ErrorCode::kMismatch,
            "cannot resume with another {}: the run was started with {}, now it is {}; leave the "
            "option out, or start a new run in another --output",
            info.name, value(before).dump(), value(after).dump());
  });
}

ModelSpec resolve_model(const TrainOptions& options, int classes) {
  ModelSpec spec;
  if (options.model.starts_with('{')) {
    spec = spec_from_json(options.model, "model");
  } else if (options.model.ends_with(".json") || options.model.ends_with(".yaml") ||
             options.model.ends_with(".yml")) {
    spec = load_spec(options.model);
  } else {
    spec = zoo_model(options.model);
  }
  if (options.num_classes || classes > 0) {
    spec.config.num_classes = options.num_classes.value_or(classes);
    spec.classes.clear();
  }
  if (options.img_size) spec.preprocessing.size = *options.img_size;
  if (options.drop_path) spec.config.drop_path = *options.drop_path;
  validate(spec);
  return spec;
}

}  // namespace asmlp::train
