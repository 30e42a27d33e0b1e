#include "asmlp/torch/detect/detector_config.h"

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/torch/nn/dense_spec_json.h"

namespace asmlp::detect {
namespace {

using nn::check_range;

struct Entry {
  const char* name;
  const char* backbone;  // of model/zoo.h
  DetectorKind kind;
  double drop_path;
};

constexpr Entry kEntries[]{
    {"mask_rcnn_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", DetectorKind::kMaskRcnn, 0.2},
    {"mask_rcnn_asmlp_small", "asmlp_small_patch4_shift5_224", DetectorKind::kMaskRcnn, 0.2},
    {"cascade_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", DetectorKind::kCascade, 0.1},
    {"cascade_asmlp_small", "asmlp_small_patch4_shift5_224", DetectorKind::kCascade, 0.1},
    {"cascade_asmlp_base", "asmlp_base_patch4_shift5_224", DetectorKind::kCascade, 0.2},
};

constexpr double kMany = 1 << 20;

void check_fraction(const char* field, double value) { check_range(field, value, 0, 1); }

void check_match(const MatchConfig& match) {
  check_fraction("match.positive_iou", match.positive_iou);
  check_range("match.negative_iou", match.negative_iou, 0, match.positive_iou);
  check_range("match.minimum_iou", match.minimum_iou, 0, match.positive_iou);
}

void check_sample(const SampleConfig& sample) {
  check_range("sample.count", sample.count, 1, kMany);
  check_fraction("sample.positive_fraction", sample.positive_fraction);
}

void check_loss(const BoxLossConfig& loss) {
  check_range("box_loss.beta", loss.beta, 1e-9, 1e9);
  check_range("box_loss.weight", loss.weight, 0, 1e9);
}

void check_stds(const std::vector<double>& stds) {
  check_range("number of box_stds", static_cast<double>(stds.size()), 4, 4);
  for (const double std : stds) check_range("box_stds", std, 1e-9, 1e9);
}

void check_proposals(const ProposalConfig& proposals) {
  check_range("proposals.before_nms", proposals.before_nms, 1, kMany);
  check_range("proposals.kept", proposals.kept, 1, kMany);
  check_fraction("proposals.nms_iou", proposals.nms_iou);
  check_range("proposals.min_size", proposals.min_size, 0, kMany);
}

void check_rpn(const RpnConfig& rpn, const Config& backbone) {
  check_range("rpn.channels", rpn.channels, 1, 1 << 14);
  const auto& strides = rpn.anchors.strides;
  check_range("number of rpn.anchors.strides", static_cast<double>(strides.size()),
              backbone.num_stages(), 12);
  for (size_t level = 0; level < strides.size(); ++level) {
    // The pyramid's levels beyond the backbone's are every second pixel of the one before.
    const int stride = backbone.patch_size << level;
    require(strides[level] == stride, ErrorCode::kInvalidArgument,
            "config: rpn.anchors.strides[{}] is {}, the pyramid's level has stride {}", level,
            strides[level], stride);
  }
  check_range("rpn.anchors.scale", rpn.anchors.scale, 1e-3, 1e3);
  check_range("number of rpn.anchors.ratios", static_cast<double>(rpn.anchors.ratios.size()), 1,
              64);
  for (const double ratio : rpn.anchors.ratios) check_range("rpn.anchors.ratios", ratio, 1e-3, 1e3);
  check_range("rpn.allowed_border", rpn.allowed_border, -1, kMany);
  check_stds(rpn.box_stds);
  check_match(rpn.match);
  check_sample(rpn.sample);
  check_range("rpn.class_weight", rpn.class_weight, 0, 1e9);
  check_loss(rpn.box_loss);
  check_proposals(rpn.train_proposals);
  check_proposals(rpn.test_proposals);
}

void check_heads(const DetectorConfig& config) {
  check_range("roi.levels", config.roi.levels, 1,
              static_cast<double>(config.rpn.anchors.strides.size()));
  check_range("roi.finest_size", config.roi.finest_size, 1e-3, kMany);
  check_range("roi.sampling_ratio", config.roi.sampling_ratio, 0, 64);
  check_range("roi.box_size", config.roi.box_size, 1, 64);
  check_range("roi.mask_size", config.roi.mask_size, 1, 256);
  check_range("box_head.convs", config.box_head.convs, 0, 32);
  check_range("box_head.conv_channels", config.box_head.conv_channels, 1, 1 << 14);
  check_range("box_head.fcs", config.box_head.fcs, 1, 32);
  check_range("box_head.fc_channels", config.box_head.fc_channels, 1, 1 << 14);
  check_range("mask_head.convs", config.mask_head.convs, 1, 32);
  check_range("mask_head.channels", config.mask_head.channels, 1, 1 << 14);
  check_fraction("mask_head.target_threshold", config.mask_head.target_threshold);
}

}  // namespace

DetectorConfig mask_rcnn_config(const Config& backbone) {
  DetectorConfig config;
  config.backbone = nn::without_head(backbone);
  return config;
}

DetectorConfig cascade_config(const Config& backbone) {
  DetectorConfig config = mask_rcnn_config(backbone);
  config.kind = DetectorKind::kCascade;
  config.rpn.allowed_border = 0;
  config.rpn.box_loss.kind = BoxLossKind::kSmoothL1;
  config.rpn.train_proposals.kept = 2000;
  config.box_head.convs = 4;
  config.box_head.fcs = 1;
  StageConfig stage;
  stage.box_loss.kind = BoxLossKind::kGiou;
  stage.box_loss.weight = 10;
  stage.match.low_quality = false;
  config.stages.assign(3, stage);
  const std::vector<double> stds[]{
      {0.1, 0.1, 0.2, 0.2}, {0.05, 0.05, 0.1, 0.1}, {0.033, 0.033, 0.067, 0.067}};
  const double ious[]{0.5, 0.6, 0.7}, weights[]{1, 0.5, 0.25};
  for (size_t i = 0; i < config.stages.size(); ++i) {
    MatchConfig& match = config.stages[i].match;
    match.positive_iou = match.negative_iou = match.minimum_iou = ious[i];
    config.stages[i].box_stds = stds[i];
    config.stages[i].weight = weights[i];
  }
  return config;
}

std::vector<std::string> zoo_detector_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  return names;
}

DetectorSpec zoo_detector(const std::string& name) {
  for (const Entry& entry : kEntries) {
    if (name != entry.name) continue;
    Config backbone = zoo_model(entry.backbone).config;
    backbone.drop_path = entry.drop_path;
    DetectorSpec spec;
    spec.name = name;
    spec.config = entry.kind == DetectorKind::kCascade ? cascade_config(backbone)
                                                       : mask_rcnn_config(backbone);
    return spec;
  }
  fail(ErrorCode::kNotFound, "unknown detector '{}'; did you mean '{}'?", name,
       nearest(name, zoo_detector_names()));
}

void validate(const DetectorConfig& config) {
  asmlp::validate(config.backbone);
  require(config.backbone.num_classes == 0, ErrorCode::kInvalidArgument,
          "config: backbone.num_classes is {}, a backbone has none; set it to 0",
          config.backbone.num_classes);
  check_range("num_classes", config.num_classes, 1, 1 << 14);
  check_range("fpn_channels", config.fpn_channels, 1, 1 << 14);
  check_rpn(config.rpn, config.backbone);
  check_heads(config);
  const bool cascade = config.kind == DetectorKind::kCascade;
  check_range(cascade ? "number of stages" : "number of stages (of kind mask_rcnn)",
              static_cast<double>(config.stages.size()), 1, cascade ? 16 : 1);
  for (const StageConfig& stage : config.stages) {
    check_match(stage.match);
    check_sample(stage.sample);
    check_stds(stage.box_stds);
    check_loss(stage.box_loss);
    check_range("class_weight", stage.class_weight, 0, 1e9);
    check_range("mask_weight", stage.mask_weight, 0, 1e9);
    check_range("weight of a stage", stage.weight, 0, 1e9);
  }
  check_range("wh_ratio_clip", config.wh_ratio_clip, 1e-9, 1);
  check_fraction("test.score_threshold", config.test.score_threshold);
  check_fraction("test.nms_iou", config.test.nms_iou);
  check_range("test.max_detections", config.test.max_detections, 1, kMany);
  check_fraction("test.mask_threshold", config.test.mask_threshold);
}

void validate(const DetectorSpec& spec) { nn::validate_dense_spec(spec); }

std::string to_json(const DetectorSpec& spec) { return nn::dense_spec_to_json(spec); }

DetectorSpec resolve_detector(const std::string& model) {
  return nn::resolve_dense_spec<DetectorSpec>(model, detector_from_json, zoo_detector);
}

DetectorSpec detector_from_json(const std::string& text, const std::string& what) {
  return nn::dense_spec_from_json<DetectorSpec>(text, what, zoo_detector);
}

}  // namespace asmlp::detect
