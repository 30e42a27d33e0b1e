#include "asmlp/model/spec.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

using Json = nlohmann::ordered_json;

// The shortest decimal that reads back as the same float: 0.485 instead of 0.48500001430511475.
double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double wide = value;
  std::from_chars(text, end, wide);
  return wide;
}

Json shortest(const std::vector<float>& values) {
  Json array = Json::array();
  for (float value : values) array.push_back(shortest(value));
  return array;
}

void check_channels(const char* field, const std::vector<float>& values, const Config& config) {
  require(static_cast<int>(values.size()) == config.in_chans, ErrorCode::kInvalidArgument,
          "preprocessing: {} has {} values, must have one per input channel (in_chans is {})",
          field, values.size(), config.in_chans);
  for (float value : values) {
    require(std::isfinite(value), ErrorCode::kInvalidArgument,
            "preprocessing: {} holds {}, must be finite", field, value);
  }
}

}  // namespace

const char* to_string(Interpolation interpolation) {
  return interpolation == Interpolation::kBilinear ? "bilinear" : "bicubic";
}

Preprocessing default_preprocessing(const Config& config, int size) {
  Preprocessing preprocessing;
  preprocessing.size = size;
  if (config.in_chans != 3) {
    preprocessing.mean.assign(config.in_chans, 0.5f);
    preprocessing.std.assign(config.in_chans, 0.5f);
  }
  return preprocessing;
}

void validate(const ModelSpec& spec) {
  validate(spec.config);
  const Preprocessing& preprocessing = spec.preprocessing;
  require(preprocessing.size >= 1 && preprocessing.size <= 1 << 14, ErrorCode::kInvalidArgument,
          "preprocessing: size is {}, must be between 1 and {}", preprocessing.size, 1 << 14);
  // Far smaller crops would resize every image to something enormous first.
  require(preprocessing.crop_pct >= 0.01 && preprocessing.crop_pct <= 1.0,
          ErrorCode::kInvalidArgument, "preprocessing: crop_pct is {}, must be between 0.01 and 1",
          preprocessing.crop_pct);
  check_channels("mean", preprocessing.mean, spec.config);
  check_channels("std", preprocessing.std, spec.config);
  for (float value : preprocessing.std) {
    require(value > 0, ErrorCode::kInvalidArgument, "preprocessing: std holds {}, must be positive",
            value);
  }
  require(spec.classes.empty() || static_cast<int>(spec.classes.size()) == spec.config.num_classes,
          ErrorCode::kInvalidArgument,
          "classes: {} names for {} classes (num_classes); give one name per class or none",
          spec.classes.size(), spec.config.num_classes);
}

std::string to_json(const ModelSpec& spec) {
  const Config& config = spec.config;
  const Preprocessing& preprocessing = spec.preprocessing;
  Json json;
  json["name"] = spec.name;
  json["config"] = {{"in_chans", config.in_chans},
                    {"num_classes", config.num_classes},
                    {"embed_dim", config.embed_dim},
                    {"depths", config.depths},
                    {"patch_size", config.patch_size},
                    {"mlp_ratio", config.mlp_ratio},
                    {"shift_size", {config.shift_size.h, config.shift_size.w}},
                    {"dilation", config.dilation},
                    {"padding", to_string(config.padding)},
                    {"connection", to_string(config.connection)},
                    {"patch_norm", config.patch_norm},
                    {"drop_path", config.drop_path}};
  json["preprocessing"] = {{"size", preprocessing.size},
                           {"crop_pct", preprocessing.crop_pct},
                           {"interpolation", to_string(preprocessing.interpolation)},
                           {"mean", shortest(preprocessing.mean)},
                           {"std", shortest(preprocessing.std)}};
  json["classes"] = spec.classes;
  json["origin"] = spec.origin;
  try {
    return json.dump();
  } catch (const Json::exception&) {
    fail(ErrorCode::kInvalidArgument,
         "model '{}': its name, a class name or its origin is not valid UTF-8", spec.name);
  }
}

}  // namespace asmlp
