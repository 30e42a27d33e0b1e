// Which model to build: AS-MLP or one of the baselines, under one description.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "asmlp/model/baselines/baselines.h"
#include "asmlp/model/spec.h"

namespace asmlp {

struct Architecture {
  // Name, preprocessing, classes, origin; config.{in_chans, num_classes, drop_path} hold for every
  // family, the other fields of config for AS-MLP and its token mixers only.
  ModelSpec spec;
  std::variant<AsMlpFamily, TokenMixerConfig, SwinConfig, MlpMixerConfig, ResMlpConfig> family;
  bool operator==(const Architecture&) const = default;
};

// Whether it is AS-MLP proper, which the native engine runs and model/spec.h describes.
inline bool is_as_mlp(const Architecture& architecture) {
  return std::holds_alternative<AsMlpFamily>(architecture.family);
}

// Every name resolve_architecture knows: AS-MLP's (model/zoo.h), then the baselines'.
std::vector<std::string> architecture_names();

// A name of the zoo, a .json/.yaml/.yml file, or a JSON object in text (it begins with '{').
// Error(kNotFound) for an unknown name, suggesting the nearest; Error(kInvalidArgument) for a wrong
// description.
Architecture resolve_architecture(const std::string& model);

// Throws Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const Architecture& architecture);

// Elements of all parameters, by formula.
int64_t parameter_count(const Architecture& architecture);

// Multiply-adds of one forward pass on an h x w image: products of linear layers and of attention,
// and one per element for norms, affine and layer scales and the sum of two branches; GELU, softmax
// and residual sums are not counted. This is the convention of the `flops()` of Swin's and AS-MLP's
// authors, whose numbers it gives. Error(kInvalidArgument) for a size that the model cannot take.
int64_t multiply_adds(const Architecture& architecture, int h, int w);

// {"task": "classify", "name", "config", "preprocessing", "classes", "origin"}. A token mixer adds
// "token_mixer" (and "window_size"), another family "family", whose "config" has its own fields.
std::string to_json(const Architecture& architecture);

// Reads what to_json writes, and user files (description/description.h has the forms).
Architecture architecture_from_json(const std::string& text, const std::string& what);
Architecture architecture_from_yaml(const std::string& text, const std::string& what);

}  // namespace asmlp
