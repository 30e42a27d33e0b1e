#include "asmlp/model/spec.h"

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/model/config_fields.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp {
namespace {

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

const char* to_string(Interpolation interpolation) { return name_of(interpolation); }

Preprocessing default_preprocessing(const Config& config, int size) {
  Preprocessing preprocessing;
  preprocessing.size = size;
  if (config.in_chans != 3) {
    preprocessing.mean.assign(config.in_chans, 0.5f);
    preprocessing.std.assign(config.in_chans, 0.5f);
  }
  return preprocessing;
}

std::string class_label(const std::vector<std::string>& classes, int index) {
  const auto at = static_cast<size_t>(index);
  return at < classes.size() ? classes[at] : fmt::format("class {}", index);
}

void validate(const ModelSpec& spec) {
  validate(spec.config);
  const Preprocessing& preprocessing = spec.preprocessing;
  check_ranges(preprocessing, "preprocessing");
  check_channels("mean", preprocessing.mean, spec.config);
  check_channels("std", preprocessing.std, spec.config);
  for (float value : preprocessing.std) {
    require(value > 0, ErrorCode::kInvalidArgument, "preprocessing: std holds {}, must be positive",
            value);
  }
  check_class_names(spec.classes, spec.config.num_classes);
}

}  // namespace asmlp
