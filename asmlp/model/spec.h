// Everything that travels with weights: architecture, preprocessing, class names, origin.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/model/exif.h"
#include "asmlp/model/quantization_info.h"

namespace asmlp {

enum class Interpolation { kBilinear, kBicubic };
constexpr auto names_of(Interpolation) {
  return std::array{std::pair{Interpolation::kBilinear, "bilinear"},
                    std::pair{Interpolation::kBicubic, "bicubic"}};
}
const char* to_string(Interpolation interpolation);

// The side of a square image as a field: a number, or [h, w], of which the larger side is kept, so
// that no detail is lost.
template <typename Int>
struct SquareField {
  Int& value;
};
template <typename Int>
SquareField<Int> square_field(Int& side) {
  return {side};
}

// From an 8-bit image to the network's input (timm's and torchvision's evaluation pipeline):
// resize the short side to floor(size / crop_pct), center crop size x size, / 255, (x - mean) /
// std.
struct Preprocessing {
  int size = 224;           // side of the square network input, in pixels
  double crop_pct = 0.875;  // (0, 1]
  Interpolation interpolation = Interpolation::kBicubic;
  std::vector<float> mean{0.485f, 0.456f, 0.406f};  // one per input channel, of values in [0, 1]
  std::vector<float> std{0.229f, 0.224f, 0.225f};   // one per input channel, > 0
  // Of data sets (evaluation, training). The default is that of the authors' evaluation, of the
  // zoo's models and of files that do not say it; training on own data writes what it did.
  Exif exif = Exif::kIgnore;
  bool operator==(const Preprocessing&) const = default;
  static void visit(auto& self, auto&& field) {
    field("size", square_field(self.size),
          FieldInfo{.low = 1, .high = 1 << 14, .alias = "img_size"});
    // Far smaller crops would resize every image to something enormous first.
    field("crop_pct", self.crop_pct, FieldInfo{.low = 0.01, .high = 1});
    field("interpolation", self.interpolation);
    field("mean", self.mean);
    field("std", self.std);
    field("exif", self.exif);
  }
};

// The default preprocessing of a config: ImageNet's mean and std for 3 channels, 0.5 otherwise.
Preprocessing default_preprocessing(const Config& config, int size);

struct ModelSpec {
  std::string name;  // timm style, e.g. "asmlp_tiny_patch4_shift5_224"
  Config config;
  Preprocessing preprocessing;
  std::vector<std::string> classes;           // empty, or config.num_classes names
  std::map<std::string, std::string> origin;  // free text: source, data set, command, license, ...
  std::optional<QuantizationInfo> quantization = {};  // of a model with int8 layers
  bool operator==(const ModelSpec&) const = default;
};

// The name of class `index`, or "class 17" where there are no names.
std::string class_label(const std::vector<std::string>& classes, int index);

// Throws Error(kInvalidArgument) naming the field.
void validate(const ModelSpec& spec);

// {"task": "classify", "name", "config", "preprocessing", "classes", "origin"} as JSON text, and
// "quantization" where there is one.
std::string to_json(const ModelSpec& spec);

// Reads what to_json writes, and user files, of AS-MLP only: description.h says which forms there
// are. Error(kUnsupported) for a model of another task or of the baselines. `what` names the source
// in messages.
ModelSpec spec_from_json(const std::string& text, const std::string& what);

// The same object written as YAML.
ModelSpec spec_from_yaml(const std::string& text, const std::string& what);

// Reads a .json, .yaml or .yml file of the same structure.
ModelSpec load_spec(const std::filesystem::path& path);

}  // namespace asmlp
