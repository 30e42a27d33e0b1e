// The segmentors of AS-MLP as plain structs: every constant of UPerNet as the authors'
// AS-MLP-Semantic-Segmentation sets it (a fork of mmseg 0.11.0).
//
// The authors' base file was never published; dropout, loss weights and the corners of resizing are
// those of the Swin segmentor that theirs was made from.
#pragma once

#include <string>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp {

struct UperHeadConfig {
  int channels = 512;
  std::vector<int> pool_scales{1, 2, 3, 6};  // bins per side of the pyramid pooling
  double dropout = 0.1;                      // of whole channels, before the last convolution
  double loss_weight = 1;
  bool operator==(const UperHeadConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("channels", self.channels, FieldInfo{.low = 1, .high = 1 << 14});
    field("pool_scales", self.pool_scales, FieldInfo{.low = 1, .high = 64});
    field("dropout", self.dropout, FieldInfo{.low = 0, .high = 0.999});
    field("loss_weight", self.loss_weight, FieldInfo{.low = 0, .high = 1e9});
  }
};

// The auxiliary head, for training only.
struct FcnHeadConfig {
  int stage = 2;  // of the backbone: whose map it takes
  int channels = 256;
  int convs = 1;  // 3 x 3
  double dropout = 0.1;
  double loss_weight = 0.4;
  bool operator==(const FcnHeadConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("stage", self.stage);
    field("channels", self.channels, FieldInfo{.low = 1, .high = 1 << 14});
    field("convs", self.convs, FieldInfo{.low = 1, .high = 32});
    field("dropout", self.dropout, FieldInfo{.low = 0, .high = 0.999});
    field("loss_weight", self.loss_weight, FieldInfo{.low = 0, .high = 1e9});
  }
};

struct SegmentorConfig {
  int num_classes = 150;
  Config backbone = without_head();
  UperHeadConfig decode_head;
  FcnHeadConfig auxiliary_head;
  int ignore_label = 255;  // of pixels without a class: they add 0 to the loss's mean
  // Of the pixels of each class in the losses of both heads, which stay sums over pixels divided by
  // the number of all pixels (mmsegmentation's class_weight). Empty: 1 each.
  std::vector<double> class_weights;
  bool operator==(const SegmentorConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("num_classes", self.num_classes, FieldInfo{.low = 1, .high = 1 << 14});
    field("backbone", backbone_field(self.backbone));
    field("decode_head", self.decode_head);
    field("auxiliary_head", self.auxiliary_head);
    field("ignore_label", self.ignore_label, FieldInfo{.low = -1, .high = 1 << 20});
    field("class_weights", self.class_weights, FieldInfo{.low = 0, .high = 1e9});
  }
};

using SegmentorSpec = DenseSpec<SegmentorConfig>;

// UPerNet over a backbone (its num_classes becomes 0).
SegmentorConfig upernet_config(const Config& backbone);

// upernet_asmlp_{tiny,small,base}: shift 5, the published drop path, ADE20K's number of classes.
// (The authors' file of S says shift 3.)
std::vector<std::string> zoo_segmentor_names();
// Error(kNotFound) for an unknown name, suggesting the nearest.
SegmentorSpec zoo_segmentor(const std::string& name);

// The preprocessing of the published segmentors: 2048 x 512, no padding.
DenseInput segmentor_input();

// Throws Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const SegmentorConfig& config);
void validate(const SegmentorSpec& spec);

// {"task": "segment", "name", "config", "preprocessing", "classes", "origin"}, and back
// (description/description.h has the forms that are read).
std::string to_json(const SegmentorSpec& spec);
SegmentorSpec segmentor_from_json(const std::string& text, const std::string& what);

// A name of the zoo, a .json, .yaml or .yml file, or a JSON object in text (it begins with '{').
SegmentorSpec resolve_segmentor(const std::string& model);

}  // namespace asmlp
