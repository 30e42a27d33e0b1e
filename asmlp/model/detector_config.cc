#include "asmlp/model/detector_config.h"

#include <fmt/ranges.h>

#include "asmlp/core/error.h"
#include "asmlp/model/config_fields.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"

namespace asmlp {
namespace {

struct DetectorEntry {
  const char* name;
  const char* backbone;  // of model/zoo.h
  DetectorKind kind;
  double drop_path;
};

constexpr DetectorEntry kDetectors[]{
    {"mask_rcnn_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", DetectorKind::kMaskRcnn, 0.2},
    {"mask_rcnn_asmlp_small", "asmlp_small_patch4_shift5_224", DetectorKind::kMaskRcnn, 0.2},
    {"cascade_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", DetectorKind::kCascade, 0.1},
    {"cascade_asmlp_small", "asmlp_small_patch4_shift5_224", DetectorKind::kCascade, 0.1},
    {"cascade_asmlp_base", "asmlp_base_patch4_shift5_224", DetectorKind::kCascade, 0.2},
    {"faster_rcnn_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", DetectorKind::kFasterRcnn, 0.2},
    {"faster_rcnn_asmlp_small", "asmlp_small_patch4_shift5_224", DetectorKind::kFasterRcnn, 0.2},
    {"faster_rcnn_asmlp_base", "asmlp_base_patch4_shift5_224", DetectorKind::kFasterRcnn, 0.2},
    {"cascade_rcnn_asmlp_tiny", "asmlp_tiny_patch4_shift5_224", DetectorKind::kCascadeRcnn, 0.1},
    {"cascade_rcnn_asmlp_small", "asmlp_small_patch4_shift5_224", DetectorKind::kCascadeRcnn, 0.1},
    {"cascade_rcnn_asmlp_base", "asmlp_base_patch4_shift5_224", DetectorKind::kCascadeRcnn, 0.2},
};

void check_match(const char* name, const MatchConfig& match) {
  check_range(fmt::format("{}.negative_iou", name).c_str(), match.negative_iou, 0,
              match.positive_iou);
  check_range(fmt::format("{}.minimum_iou", name).c_str(), match.minimum_iou, 0,
              match.positive_iou);
}

void check_four(const char* name, const std::vector<double>& stds) {
  check_range(fmt::format("number of {}", name).c_str(), static_cast<double>(stds.size()), 4, 4);
}

void check_anchors(const AnchorConfig& anchors, const Config& backbone) {
  const auto& strides = anchors.strides;
  check_range("number of rpn.anchors.strides", static_cast<double>(strides.size()),
              backbone.num_stages(), 12);
  for (size_t level = 0; level < strides.size(); ++level) {
    // The pyramid's levels beyond the backbone's are every second pixel of the one before.
    const int stride = backbone.patch_size << level;
    require(strides[level] == stride, ErrorCode::kInvalidArgument,
            "config: rpn.anchors.strides[{}] is {}, the pyramid's level has stride {}", level,
            strides[level], stride);
  }
  check_range("number of rpn.anchors.ratios", static_cast<double>(anchors.ratios.size()), 1, 64);
}

void make_cascade(DetectorConfig& config) {
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
}

}  // namespace

DetectorConfig detector_config(DetectorKind kind, const Config& backbone) {
  DetectorConfig config;
  config.kind = kind;
  config.backbone = without_head(backbone);
  if (is_cascade(kind)) make_cascade(config);
  if (kind == DetectorKind::kFasterRcnn) config.stages[0].match.low_quality = false;
  return config;
}

std::vector<std::string> zoo_detector_names() {
  std::vector<std::string> names;
  for (const DetectorEntry& entry : kDetectors) names.emplace_back(entry.name);
  return names;
}

DetectorSpec zoo_detector(const std::string& name) {
  for (const DetectorEntry& entry : kDetectors) {
    if (name != entry.name) continue;
    Config backbone = zoo_model(entry.backbone).config;
    backbone.drop_path = entry.drop_path;
    DetectorSpec spec;
    spec.name = name;
    spec.config = detector_config(entry.kind, backbone);
    return spec;
  }
  fail(ErrorCode::kNotFound, "unknown detector '{}'{} (known: {})", name,
       did_you_mean(name, zoo_detector_names()), fmt::join(zoo_detector_names(), ", "));
}

void validate(const DetectorConfig& config) {
  asmlp::validate(config.backbone);
  require(config.backbone.num_classes == 0, ErrorCode::kInvalidArgument,
          "config: backbone.num_classes is {}, a backbone has none; set it to 0",
          config.backbone.num_classes);
  check_ranges(config);
  check_anchors(config.rpn.anchors, config.backbone);
  check_four("rpn.box_stds", config.rpn.box_stds);
  check_match("rpn.match", config.rpn.match);
  check_range("roi.levels", config.roi.levels, 1,
              static_cast<double>(config.rpn.anchors.strides.size()));
  const bool cascade = is_cascade(config.kind);
  check_range(cascade ? "number of stages"
                      : fmt::format("number of stages (of kind {})", name_of(config.kind)).c_str(),
              static_cast<double>(config.stages.size()), 1, cascade ? 16 : 1);
  for (const StageConfig& stage : config.stages) {
    check_match("match", stage.match);
    check_four("box_stds", stage.box_stds);
  }
}

void validate(const DetectorSpec& spec) { validate_dense_spec(spec); }

}  // namespace asmlp
