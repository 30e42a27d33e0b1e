// The detectors of AS-MLP as plain structs: every constant of Mask R-CNN and Cascade Mask R-CNN as
// the authors' AS-MLP-Object-Detection sets it (a fork of mmdet 2.11.0).
//
// The defaults are Mask R-CNN's; cascade_config changes what differs. Boxes are x1, y1, x2, y2 in
// pixels of the resized image, width = x2 - x1. The authors' Cascade base file was never published:
// its RPN loss, border, number of proposals, IoU thresholds, stage weights and test settings are
// those of the Swin detector that theirs was made from.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/torch/nn/dense_spec.h"

namespace asmlp::detect {

enum class DetectorKind {
  kMaskRcnn,  // one stage; keys roi_head.bbox_head.*
  kCascade,   // several stages; keys roi_head.bbox_head.0.*, .1.*, ...
};
constexpr auto names_of(DetectorKind) {
  return std::array{std::pair{DetectorKind::kMaskRcnn, "mask_rcnn"},
                    std::pair{DetectorKind::kCascade, "cascade"}};
}

enum class BoxLossKind {
  kL1,        // |d| on encoded deltas
  kSmoothL1,  // d^2 / (2 beta) below beta, |d| - beta / 2 above, on encoded deltas (Girshick, 2015)
  kGiou,      // 1 - generalised IoU of the decoded boxes, which are not clipped
};
constexpr auto names_of(BoxLossKind) {
  return std::array{std::pair{BoxLossKind::kL1, "l1"},
                    std::pair{BoxLossKind::kSmoothL1, "smooth_l1"},
                    std::pair{BoxLossKind::kGiou, "giou"}};
}

// The anchors of one feature cell: for each ratio r, w = scale * stride / sqrt(r) and h = scale *
// stride * sqrt(r), centred at (column * stride, row * stride).
struct AnchorConfig {
  std::vector<int> strides{4, 8, 16, 32, 64};  // one per pyramid level, in pixels
  double scale = 8;
  std::vector<double> ratios{0.5, 1, 2};  // h / w
  bool operator==(const AnchorConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("strides", self.strides);
    field("scale", self.scale);
    field("ratios", self.ratios);
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
    field("positive_iou", self.positive_iou);
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
    field("count", self.count);
    field("positive_fraction", self.positive_fraction);
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
    field("beta", self.beta);
    field("weight", self.weight);
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
    field("before_nms", self.before_nms);
    field("kept", self.kept);
    field("nms_iou", self.nms_iou);
    field("min_size", self.min_size);
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
    field("channels", self.channels);
    field("anchors", self.anchors);
    field("allowed_border", self.allowed_border);
    field("box_stds", self.box_stds);
    field("match", self.match);
    field("sample", self.sample);
    field("class_weight", self.class_weight);
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
  int mask_size = 14;
  bool operator==(const RoiConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("levels", self.levels);
    field("finest_size", self.finest_size);
    field("sampling_ratio", self.sampling_ratio);
    field("box_size", self.box_size);
    field("mask_size", self.mask_size);
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
    field("convs", self.convs);
    field("conv_channels", self.conv_channels);
    field("fcs", self.fcs);
    field("fc_channels", self.fc_channels);
  }
};

struct MaskHeadConfig {
  int convs = 4;
  int channels = 256;
  double target_threshold = 0.5;  // of the truth's coverage of a mask pixel: at least
  bool operator==(const MaskHeadConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("convs", self.convs);
    field("channels", self.channels);
    field("target_threshold", self.target_threshold);
  }
};

// How one stage of box regression is trained.
struct StageConfig {
  MatchConfig match;
  SampleConfig sample;
  std::vector<double> box_stds{0.1, 0.1, 0.2, 0.2};  // of the deltas; means are 0
  double class_weight = 1;                           // of the cross entropy
  BoxLossConfig box_loss;
  double mask_weight = 1;  // of the binary cross entropy
  double weight = 1;       // of the stage: multiplies its three losses
  bool operator==(const StageConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("match", self.match);
    field("sample", self.sample);
    field("box_stds", self.box_stds);
    field("class_weight", self.class_weight);
    field("box_loss", self.box_loss);
    field("mask_weight", self.mask_weight);
    field("weight", self.weight);
  }
};

struct TestConfig {
  double score_threshold = 0.05;  // greater
  double nms_iou = 0.5;           // NMS within a class, in original pixels
  int max_detections = 100;       // per image
  double mask_threshold = 0.5;    // at least
  bool operator==(const TestConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("score_threshold", self.score_threshold);
    field("nms_iou", self.nms_iou);
    field("max_detections", self.max_detections);
    field("mask_threshold", self.mask_threshold);
  }
};

struct DetectorConfig {
  DetectorKind kind = DetectorKind::kMaskRcnn;
  int num_classes = 80;                  // without background, which is index num_classes
  Config backbone = nn::without_head();  // a map per stage, its strides the first anchors'
  int fpn_channels = 256;
  RpnConfig rpn;
  RoiConfig roi;
  BoxHeadConfig box_head;
  MaskHeadConfig mask_head;
  std::vector<StageConfig> stages{StageConfig{}};  // one for mask_rcnn
  // Decoding clamps dw and dh to +-|ln(wh_ratio_clip)|; dx and dy it takes as they are.
  double wh_ratio_clip = 16.0 / 1000;
  TestConfig test;
  bool operator==(const DetectorConfig&) const = default;
  static void visit(auto& self, auto&& field) {
    field("kind", self.kind);
    field("num_classes", self.num_classes);
    field("backbone", self.backbone);
    field("fpn_channels", self.fpn_channels);
    field("rpn", self.rpn);
    field("roi", self.roi);
    field("box_head", self.box_head);
    field("mask_head", self.mask_head);
    field("stages", self.stages);
    field("wh_ratio_clip", self.wh_ratio_clip);
    field("test", self.test);
  }
};

using DetectorSpec = nn::DenseSpec<DetectorConfig>;

// Under which a safetensors file holds to_json(spec) in its metadata.
inline constexpr const char* kDetectorKey = "asmlp_detector";

// The two detectors over a backbone (its num_classes becomes 0). Cascade: RPN with smooth L1 and no
// anchors across the edge, 2000 proposals in training, three stages of IoU 0.5, 0.6, 0.7 with
// weights 1, 0.5, 0.25 and GIoU x 10, box heads of four convolutions with batch norm.
DetectorConfig mask_rcnn_config(const Config& backbone);
DetectorConfig cascade_config(const Config& backbone);

// mask_rcnn_asmlp_{tiny,small} and cascade_asmlp_{tiny,small,base}: shift 5, drop path of the 1x
// schedule (12 epochs), COCO's number of classes. (The authors' 3x files say 0.2 for Cascade T and
// S, 0.3 for B, and shift 3 for Mask R-CNN S and Cascade T and S.)
std::vector<std::string> zoo_detector_names();
// Error(kNotFound) for an unknown name, suggesting the nearest.
DetectorSpec zoo_detector(const std::string& name);

// A name of the zoo, a .json, .yaml or .yml file, or a JSON object in text (it begins with '{'),
// read by detector_from_json. Errors as there and of zoo_detector.
DetectorSpec resolve_detector(const std::string& model);

// Throws Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const DetectorConfig& config);
void validate(const DetectorSpec& spec);

// One JSON object {"name", "config", "preprocessing", "classes", "origin"} that
// detector_from_json reads back to an equal value. Reading takes user files too: what is left out
// is the default's, or that of the zoo's model named by "model"; a "backbone" must say its
// "shift_size", which weights do not show. Unknown keys are an Error(kInvalidArgument) that
// suggests the nearest known one. `what` names the source in messages.
std::string to_json(const DetectorSpec& spec);
DetectorSpec detector_from_json(const std::string& text, const std::string& what);

}  // namespace asmlp::detect
