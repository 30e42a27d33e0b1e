// The parameters of detectors and segmentors (spec: the authors' forks of mmdetection and
// mmsegmentation).
#include <fmt/format.h>

#include "asmlp/model/param_table.h"

namespace asmlp {
namespace {

void add_box_head(ParamTable& table, const std::string& name, const DetectorConfig& config) {
  const BoxHeadConfig& head = config.box_head;
  int64_t channels = config.fpn_channels;
  for (int i = 0; i < head.convs; ++i) {
    table.conv_bn(fmt::format("{}.shared_convs.{}", name, i), head.conv_channels, channels, 3);
    channels = head.conv_channels;
  }
  int64_t features = channels * config.roi.box_size * config.roi.box_size;
  for (int i = 0; i < head.fcs; ++i) {
    table.linear(fmt::format("{}.shared_fcs.{}", name, i), head.fc_channels, features);
    features = head.fc_channels;
  }
  table.linear(name + ".fc_cls", config.num_classes + 1, features);
  table.linear(name + ".fc_reg", 4 * int64_t{config.num_classes}, features);
}

void add_mask_head(ParamTable& table, const std::string& name, const DetectorConfig& config) {
  const MaskHeadConfig& head = config.mask_head;
  int64_t channels = config.fpn_channels;
  for (int i = 0; i < head.convs; ++i) {
    table.conv_module(fmt::format("{}.convs.{}", name, i), head.channels, channels, 3);
    channels = head.channels;
  }
  table.conv_with_bias(name + ".upsample", head.channels, head.channels, 2);  // [in, out, 2, 2]
  table.conv_with_bias(name + ".conv_logits", config.num_classes, head.channels);
}

}  // namespace

void ParamTable::backbone(const Config& config) {
  for (Param& param : parameter_table(without_head(config))) {
    if (param.name.starts_with("norm.")) continue;
    param.name = "backbone." + param.name;
    params_.push_back(std::move(param));
  }
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    norm(fmt::format("backbone.norm{}", stage), config.dim(stage));
  }
}

std::vector<Param> parameter_table(const DetectorConfig& config) {
  ParamTable table;
  table.backbone(config.backbone);
  const int64_t c = config.fpn_channels;
  for (int stage = 0; stage < config.backbone.num_stages(); ++stage) {
    table.conv_module(fmt::format("neck.lateral_convs.{}", stage), c, config.backbone.dim(stage),
                      1);
    table.conv_module(fmt::format("neck.fpn_convs.{}", stage), c, c, 3);
  }
  const auto anchors = static_cast<int64_t>(config.rpn.anchors.ratios.size());
  table.conv_with_bias("rpn_head.rpn_conv", config.rpn.channels, c, 3);
  table.conv_with_bias("rpn_head.rpn_cls", anchors, config.rpn.channels);
  table.conv_with_bias("rpn_head.rpn_reg", 4 * anchors, config.rpn.channels);
  for (size_t k = 0; k < config.stages.size(); ++k) {
    const std::string stage = is_cascade(config.kind) ? fmt::format(".{}", k) : std::string();
    add_box_head(table, "roi_head.bbox_head" + stage, config);
    if (has_masks(config.kind)) add_mask_head(table, "roi_head.mask_head" + stage, config);
  }
  return table.take();
}

std::vector<Param> parameter_table(const SegmentorConfig& config) {
  ParamTable table;
  table.backbone(config.backbone);
  const UperHeadConfig& head = config.decode_head;
  const int64_t c = head.channels, top = config.backbone.num_features();
  const auto scales = static_cast<int64_t>(head.pool_scales.size());
  const int stages = config.backbone.num_stages();
  table.conv_with_bias("decode_head.conv_seg", config.num_classes, c);
  for (int64_t k = 0; k < scales; ++k) {
    table.conv_bn(fmt::format("decode_head.psp_modules.{}.1", k), c, top, 1);
  }
  table.conv_bn("decode_head.bottleneck", c, top + scales * c, 3);
  for (int stage = 0; stage + 1 < stages; ++stage) {
    table.conv_bn(fmt::format("decode_head.lateral_convs.{}", stage), c, config.backbone.dim(stage),
                  1);
    table.conv_bn(fmt::format("decode_head.fpn_convs.{}", stage), c, c, 3);
  }
  table.conv_bn("decode_head.fpn_bottleneck", c, stages * c, 3);

  const FcnHeadConfig& auxiliary = config.auxiliary_head;
  table.conv_with_bias("auxiliary_head.conv_seg", config.num_classes, auxiliary.channels);
  int64_t channels = config.backbone.dim(auxiliary.stage);
  for (int i = 0; i < auxiliary.convs; ++i) {
    table.conv_bn(fmt::format("auxiliary_head.convs.{}", i), auxiliary.channels, channels, 3);
    channels = auxiliary.channels;
  }
  return table.take();
}

}  // namespace asmlp
