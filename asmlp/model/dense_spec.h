// What travels with the weights of a detector or segmentor: architecture, preprocessing, class
// names, origin.
#pragma once

#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/model/exif.h"
#include "asmlp/model/quantization_info.h"

namespace asmlp {

// From an 8-bit RGB image to the network's input: resized (bilinear) with its ratio kept, by
//   min(long_side / max(h, w), short_side / min(h, w)),   sizes rounded to nearest,
// then (x - mean) / std per channel, then zeros to the right and below to a multiple. (AS-MLP's
// detectors: 1333, 800, 32; its segmentors: 2048, 512, 1.)
struct DenseInput {
  int short_side = 800;
  int long_side = 1333;
  int pad_multiple = 32;                              // 1 pads nothing
  std::vector<double> mean{123.675, 116.28, 103.53};  // per channel R, G, B, of values in 0..255
  std::vector<double> std{58.395, 57.12, 57.375};
  Exif exif = Exif::kApply;  // of data sets; OpenCV, with which the authors read, applies it
  bool operator==(const DenseInput&) const = default;
  static void visit(auto& self, auto&& field) {
    field("short_side", self.short_side, FieldInfo{.low = 1, .high = 1 << 14});
    field("long_side", self.long_side, FieldInfo{.low = 1, .high = 1 << 14});
    field("pad_multiple", self.pad_multiple, FieldInfo{.low = 1, .high = 1024});
    field("mean", self.mean);
    field("std", self.std);
    field("exif", self.exif);
  }
};

// Error(kInvalidArgument) naming the field, its value and the accepted range; `channels` are the
// network's.
void validate(const DenseInput& input, int channels);

// `ModelConfig` is DetectorConfig or SegmentorConfig.
template <typename ModelConfig>
struct DenseSpec {
  std::string name;
  ModelConfig config;
  DenseInput preprocessing;
  std::vector<std::string> classes;  // empty, or config.num_classes names
  // The colors of the classes as "#rrggbb"; empty: the program's own. Written only when there are.
  std::vector<std::string> palette = {};
  std::map<std::string, std::string> origin;  // free text: source, data set, command, license, ...
  QuantizationInfo quantization = {};         // of a model with int8 layers; written only then
  bool operator==(const DenseSpec&) const = default;
  static void visit(auto& self, auto&& field) {
    field("name", self.name);
    field("config", self.config);
    field("preprocessing", self.preprocessing);
    field("classes", self.classes);
    // Files without colors stay readable for versions that know no palette.
    if (!std::is_const_v<std::remove_reference_t<decltype(self)>> || !self.palette.empty()) {
      field("palette", self.palette);
    }
    field("origin", self.origin);
    if (!std::is_const_v<std::remove_reference_t<decltype(self)>> ||
        self.quantization != QuantizationInfo()) {
      field("quantization", self.quantization);
    }
  }
};

// Error(kInvalidArgument) unless `classes` is empty or has a name per class.
void check_class_names(const std::vector<std::string>& classes, int num_classes);

// Error(kInvalidArgument) unless `palette` is empty or has a color "#rrggbb" per class.
void check_palette(const std::vector<std::string>& palette, int num_classes);

// The checks that the specs share; `validate(config)` are the model's own.
template <typename ModelConfig>
void validate_dense_spec(const DenseSpec<ModelConfig>& spec) {
  validate(spec.config);
  validate(spec.preprocessing, spec.config.backbone.in_chans);
  check_class_names(spec.classes, spec.config.num_classes);
  check_palette(spec.palette, spec.config.num_classes);
}

}  // namespace asmlp
