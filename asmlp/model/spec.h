// Everything that travels with weights: architecture, preprocessing, class names, origin.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "asmlp/model/config.h"

namespace asmlp {

enum class Interpolation { kBilinear, kBicubic };
const char* to_string(Interpolation interpolation);  // "bilinear", "bicubic"

// From an 8-bit image to the network's input (timm's and torchvision's evaluation pipeline):
// resize the short side to floor(size / crop_pct), centre crop size x size, / 255, (x - mean) /
// std.
struct Preprocessing {
  int size = 224;           // side of the square network input, in pixels
  double crop_pct = 0.875;  // (0, 1]
  Interpolation interpolation = Interpolation::kBicubic;
  std::vector<float> mean{0.485f, 0.456f, 0.406f};  // one per input channel, of values in [0, 1]
  std::vector<float> std{0.229f, 0.224f, 0.225f};   // one per input channel, > 0
  bool operator==(const Preprocessing&) const = default;
};

// The default preprocessing of a config: ImageNet's mean and std for 3 channels, 0.5 otherwise.
Preprocessing default_preprocessing(const Config& config, int size);

struct ModelSpec {
  std::string name;  // timm style, e.g. "asmlp_tiny_patch4_shift5_224"
  Config config;
  Preprocessing preprocessing;
  std::vector<std::string> classes;           // empty, or config.num_classes names
  std::map<std::string, std::string> origin;  // free text: source, data set, command, licence, ...
  bool operator==(const ModelSpec&) const = default;
};

// Throws Error(kInvalidArgument) naming the field.
void validate(const ModelSpec& spec);

// The self-description stored in safetensors as __metadata__.asmlp: one JSON object
// {"name", "config", "preprocessing", "classes", "origin"}.
std::string to_json(const ModelSpec& spec);

// Reads what to_json writes, and user files. Accepted shapes of the object:
//   {"config": {...}, "preprocessing": {...}, "classes": [...], ...}    every part optional
//   {"model": "asmlp_tiny_patch4_shift5_224", "num_classes": 10, ...}   a zoo model, then changes
//   {"embed_dim": 24, "depths": [1, 1, 2, 1], ...}                      config fields at top level
// "shift_size" is a number or [h, w]; "img_size" at top level sets preprocessing.size. Unknown keys
// are an Error(kInvalidArgument) that suggests the nearest known one. `what` names the source in
// messages.
ModelSpec spec_from_json(const std::string& text, const std::string& what);

// The same object written as YAML.
ModelSpec spec_from_yaml(const std::string& text, const std::string& what);

// Reads a .json, .yaml or .yml file of the same structure.
ModelSpec load_spec(const std::filesystem::path& path);

}  // namespace asmlp
