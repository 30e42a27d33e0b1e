// The detectors of AS-MLP as plain structs: every constant of Mask R-CNN and Cascade Mask R-CNN as
// the authors' AS-MLP-Object-Detection sets it (a fork of mmdet 2.11.0), and the same two without
// masks: Faster R-CNN and Cascade R-CNN.
//
// The defaults are Mask R-CNN's; detector_config changes what differs. Boxes are x1, y1, x2, y2 in
// pixels of the resized image, width = x2 - x1. The authors' Cascade base file was never published:
// its RPN loss, border, number of proposals, IoU thresholds, stage weights and test settings are
// those of the Swin detector that theirs was made from.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp {

inline constexpr double kMany = 1 << 20;  // above every sensible count

// Which heads there are. Only the first two have mask heads (keys roi_head.mask_head*).
enum class DetectorKind {
  kMaskRcnn,     // one stage; keys roi_head.bbox_head.*
  kCascade,      // Cascade Mask R-CNN: several stages; keys roi_head.bbox_head.0.*, .1.*, ...
  kFasterRcnn,   // boxes only, one stage
  kCascadeRcnn,  // boxes only, several stages
};
constexpr auto names_of(DetectorKind) {
  return std::array{std::pair{DetectorKind::kMaskRcnn, "mask_rcnn"},
                    std::pair{DetectorKind::kCascade, "cascade"},
                    std::pair{DetectorKind::kFasterRcnn, "faster_rcnn"},
                    std::pair{DetectorKind::kCascadeRcnn, "cascade_rcnn"}};
}
// Whether masks are predicted, and whether there are several stages.
constexpr bool has_masks(DetectorKind kind) {
  return kind == DetectorKind::kMaskRcnn || kind == DetectorKind::kCascade;
}
constexpr bool is_cascade(DetectorKind kind) {
  return kind == DetectorKind::kCascade || kind == DetectorKind::kCascadeRcnn;
}

enum class BoxLossKind {
  kL1,        // |d| on encoded deltas
  kSmoothL1,  // d^2 / (2 beta) below beta, |d| - beta / 2 above, on encoded deltas (Girshick, 2015)
  kGiou,      // 1 - generalized IoU of the decoded boxes, which are not clipped
};
constexpr auto names_of(BoxLossKind) {
  return std::array{std::pair{BoxLossKind::kL1, "l1"},
                    std::pair{BoxLossKind::kSmoothL1, "smooth_l1"},
                    std::pair{BoxLossKind::kGiou, "giou"}};
}

// The anchors of one feature cell: for each ratio r, w = scale * stride / sqrt(r) and h = scale *
// stride * sqrt(r), centered at (column * stride, row * stride).
struct AnchorConfig {
  std::vector<int> strides{4, 8, 16, 32, 64};  // one per pyramid level, in pixels
  double scale = 8;
  std::vector<double> ratios{0.5, 1, 2};  // h / w
  bool operator==(const AnchorConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("strides", self.strides, FieldInfo{.low = 1, .high = kMany});
    field("scale", self.scale, FieldInfo{.low = 1e-3, .high = 1e3});
    field("ratios", self.ratios, FieldInfo{.low = 1e-3, .high = 1e3});
  }
};

// Which boxes belong to which truth, by IoU.
struct MatchConfig {
  double positive_iou = 0.5;  // at least: positive
  double negative_iou = 0.5;  // below: negative; between the two: ignored
  double minimum_iou = 0.5;   // of a low-quality match
  bool low_quality = true;    // the best boxes of every truth are positive, from minimum_iou on
  bool operator==(const MatchConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("positive_iou", self.positive_iou, FieldInfo{.low = 0, .high = 1});
    field("negative_iou", self.negative_iou);
    field("minimum_iou", self.minimum_iou);
    field("low_quality", self.low_quality);
  }
};

// Which of them are trained, per image.
struct SampleConfig {
  int count = 512;
  double positive_fraction = 0.25;  // at most; negatives fill up
  bool add_truths = true;           // the true boxes stand among the candidates, first
  bool operator==(const SampleConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("count", self.count, FieldInfo{.low = 1, .high = kMany});
    field("positive_fraction", self.positive_fraction, FieldInfo{.low = 0, .high = 1});
    field("add_truths", self.add_truths);
  }
};

// Summed over coordinates and positives, divided by the number of all sampled boxes.
struct BoxLossConfig {
  BoxLossKind kind = BoxLossKind::kL1;
  double beta = 1.0 / 9;  // of smooth_l1
  double weight = 1;
  bool operator==(const BoxLossConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("kind", self.kind);
    field("beta", self.beta, FieldInfo{.low = 1e-9, .high = 1e9});
    field("weight", self.weight, FieldInfo{.low = 0, .high = 1e9});
  }
};

// From the RPN's scores to proposals, per image.
struct ProposalConfig {
  int before_nms = 1000;  // best of each level
  int kept = 1000;        // best of all levels after the NMS
  double nms_iou = 0.7;   // NMS within a level
  double min_size = 0;    // smaller boxes are dropped; 0 drops none
  bool operator==(const ProposalConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("before_nms", self.before_nms, FieldInfo{.low = 1, .high = kMany});
    field("kept", self.kept, FieldInfo{.low = 1, .high = kMany});
    field("nms_iou", self.nms_iou, FieldInfo{.low = 0, .high = 1});
    field("min_size", self.min_size, FieldInfo{.low = 0, .high = kMany});
  }
};

struct RpnConfig {
  int channels = 256;  // of its 3 x 3 convolution
  AnchorConfig anchors;
  double allowed_border = -1;                // pixels an anchor may cross the edge; -1: any
  std::vector<double> box_stds{1, 1, 1, 1};  // of the deltas dx, dy, dw, dh; means are 0
  MatchConfig match{0.7, 0.3, 0.3, true};
  SampleConfig sample{256, 0.5, false};
  double class_weight = 1;  // of the binary cross entropy
  BoxLossConfig box_loss;
  ProposalConfig train_proposals{2000, 1000, 0.7, 0};
  ProposalConfig test_proposals{1000, 1000, 0.7, 0};
  bool operator==(const RpnConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("channels", self.channels, FieldInfo{.low = 1, .high = 1 << 14});
    field("anchors", self.anchors);
    field("allowed_border", self.allowed_border, FieldInfo{.low = -1, .high = kMany});
    field("box_stds", self.box_stds, FieldInfo{.low = 1e-9, .high = 1e9});
    field("match", self.match);
    field("sample", self.sample);
    field("class_weight", self.class_weight, FieldInfo{.low = 0, .high = 1e9});
    field("box_loss", self.box_loss);
    field("train_proposals", self.train_proposals);
    field("test_proposals", self.test_proposals);
  }
};

// RoIAlign (aligned) on the first pyramid levels: box of w x h pixels goes to level
// clamp(floor(log2(sqrt(w h) / finest_size + 1e-6)), 0, levels - 1).
struct RoiConfig {
  int levels = 4;
  double finest_size = 56;  // pixels
  int sampling_ratio = 0;   // points per bin and axis; 0: ceil(size / bins)
  int box_size = 7;         // bins per side
  int mask_size = 14;       // the same of masks; of no use to a detector of boxes
  bool operator==(const RoiConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("levels", self.levels);
    field("finest_size", self.finest_size, FieldInfo{.low = 1e-3, .high = kMany});
    field("sampling_ratio", self.sampling_ratio, FieldInfo{.low = 0, .high = 64});
    field("box_size", self.box_size, FieldInfo{.low = 1, .high = 64});
    field("mask_size", self.mask_size, FieldInfo{.low = 1, .high = 256});
  }
};

// Shared 3 x 3 convolutions (batch norm over all processes, ReLU), then shared linear layers
// (ReLU), then classes and boxes.
struct BoxHeadConfig {
  int convs = 0;
  int conv_channels = 256;
  int fcs = 2;
  int fc_channels = 1024;
  bool operator==(const BoxHeadConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("convs", self.convs, FieldInfo{.low = 0, .high = 32});
    field("conv_channels", self.conv_channels, FieldInfo{.low = 1, .high = 1 << 14});
    field("fcs", self.fcs, FieldInfo{.low = 1, .high = 32});
    field("fc_channels", self.fc_channels, FieldInfo{.low = 1, .high = 1 << 14});
  }
};

struct MaskHeadConfig {
  int convs = 4;
  int channels = 256;
  double target_threshold = 0.5;  // of the truth's coverage of a mask pixel: at least
  bool operator==(const MaskHeadConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("convs", self.convs, FieldInfo{.low = 1, .high = 32});
    field("channels", self.channels, FieldInfo{.low = 1, .high = 1 << 14});
    field("target_threshold", self.target_threshold, FieldInfo{.low = 0, .high = 1});
  }
};

// How one stage of box regression is trained.
struct StageConfig {
  MatchConfig match;
  SampleConfig sample;
  std::vector<double> box_stds{0.1, 0.1, 0.2, 0.2};  // of the deltas; means are 0
  double class_weight = 1;                           // of the cross entropy
  BoxLossConfig box_loss;
  double mask_weight = 1;  // of the binary cross entropy; of no use to a detector of boxes
  double weight = 1;       // of the stage: multiplies its losses
  bool operator==(const StageConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("match", self.match);
    field("sample", self.sample);
    field("box_stds", self.box_stds, FieldInfo{.low = 1e-9, .high = 1e9});
    field("class_weight", self.class_weight, FieldInfo{.low = 0, .high = 1e9});
    field("box_loss", self.box_loss);
    field("mask_weight", self.mask_weight, FieldInfo{.low = 0, .high = 1e9});
    field("weight", self.weight, FieldInfo{.low = 0, .high = 1e9});
  }
};

struct TestConfig {
  double score_threshold = 0.05;  // greater
  double nms_iou = 0.5;           // NMS within a class, in original pixels
  int max_detections = 100;       // per image
  double mask_threshold = 0.5;    // at least; of no use to a detector of boxes
  bool operator==(const TestConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("score_threshold", self.score_threshold, FieldInfo{.low = 0, .high = 1});
    field("nms_iou", self.nms_iou, FieldInfo{.low = 0, .high = 1});
    field("max_detections", self.max_detections, FieldInfo{.low = 1, .high = kMany});
    field("mask_threshold", self.mask_threshold, FieldInfo{.low = 0, .high = 1});
  }
};

struct DetectorConfig {
  DetectorKind kind = DetectorKind::kMaskRcnn;
  int num_classes = 80;              // without background, which is index num_classes
  Config backbone = without_head();  // a map per stage, its strides the first anchors'
  int fpn_channels = 256;
  RpnConfig rpn;
  RoiConfig roi;
  BoxHeadConfig box_head;
  MaskHeadConfig mask_head;                        // a field of the kinds with masks only
  std::vector<StageConfig> stages{StageConfig{}};  // one, unless it is a cascade
  // Decoding clamps dw and dh to +-|ln(wh_ratio_clip)|; dx and dy it takes as they are.
  double wh_ratio_clip = 16.0 / 1000;
  TestConfig test;
  bool operator==(const DetectorConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("kind", self.kind);
    field("num_classes", self.num_classes, FieldInfo{.low = 1, .high = 1 << 14});
    field("backbone", backbone_field(self.backbone));
    field("fpn_channels", self.fpn_channels, FieldInfo{.low = 1, .high = 1 << 14});
    field("rpn", self.rpn);
    field("roi", self.roi);
    field("box_head", self.box_head);
    if (has_masks(self.kind)) field("mask_head", self.mask_head);  // `kind` has been read above
    field("stages", self.stages);
    field("wh_ratio_clip", self.wh_ratio_clip, FieldInfo{.low = 1e-9, .high = 1});
    field("test", self.test);
  }
};

using DetectorSpec = DenseSpec<DetectorConfig>;

// A detector of this kind over a backbone (its num_classes becomes 0). Cascades: RPN with smooth L1
// and no anchors across the edge, 2000 proposals in training, three stages of IoU 0.5, 0.6, 0.7
// with weights 1, 0.5, 0.25 and GIoU x 10, box heads of four convolutions with batch norm. Without
// masks they are the same; Faster R-CNN differs from Mask R-CNN in that no low-quality match counts
// in the box head, as in mmdetection's faster_rcnn_r50_fpn.
DetectorConfig detector_config(DetectorKind kind, const Config& backbone);

// mask_rcnn_asmlp_{tiny,small}, cascade_asmlp_{tiny,small,base}, {faster,cascade}_rcnn_asmlp_{tiny,
// small,base}: shift 5, drop path of the 1x schedule (12 epochs), COCO's number of classes. (The
// authors' 3x files say 0.2 for Cascade T and S, 0.3 for B, and shift 3 for Mask R-CNN S and
// Cascade T and S. They have no detectors of boxes: those take the values of their siblings.)
std::vector<std::string> zoo_detector_names();
// Error(kNotFound) for an unknown name, suggesting the nearest.
DetectorSpec zoo_detector(const std::string& name);

// Throws Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const DetectorConfig& config);
void validate(const DetectorSpec& spec);

// {"task": "detect", "name", "config", "preprocessing", "classes", "origin"}, and back
// (description/description.h has the forms that are read).
std::string to_json(const DetectorSpec& spec);
DetectorSpec detector_from_json(const std::string& text, const std::string& what);

// A name of the zoo, a .json, .yaml or .yml file, or a JSON object in text (it begins with '{').
DetectorSpec resolve_detector(const std::string& model);

}  // namespace asmlp
