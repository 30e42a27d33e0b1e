#include "asmlp/model/flops.h"

namespace asmlp {

namespace {

int64_t pyramid_flops(const DetectorConfig& config, int h, int w) {
  const int64_t c = config.fpn_channels, channels = config.rpn.channels;
  const auto anchors = static_cast<int64_t>(config.rpn.anchors.ratios.size());
  const auto maps = stage_sizes(config.backbone, h, w);
  MapSize map;
  int64_t flops = 0;
  for (size_t level = 0; level < config.rpn.anchors.strides.size(); ++level) {
    const bool from_backbone = level < maps.size();
    map = from_backbone ? maps[level] : MapSize{(map.h + 1) / 2, (map.w + 1) / 2};
    const int64_t positions = int64_t{map.h} * map.w;
    if (from_backbone) {
      const int64_t in = config.backbone.dim(static_cast<int>(level));
      flops += conv_flops(in, c, 1, positions) + conv_flops(c, c, 3, positions);
    }
    flops +=
        conv_flops(c, channels, 3, positions) + conv_flops(channels, 5 * anchors, 1, positions);
  }
  return flops;
}

// Of one region. The heads' ReLUs are modules and count.
int64_t box_flops(const DetectorConfig& config) {
  const BoxHeadConfig& head = config.box_head;
  const int64_t positions = int64_t{config.roi.box_size} * config.roi.box_size;
  int64_t channels = config.fpn_channels, flops = 0;
  for (int i = 0; i < head.convs; ++i) {
    flops += conv_bn_relu_flops(channels, head.conv_channels, 3, positions);
    channels = head.conv_channels;
  }
  int64_t features = channels * positions;
  for (int i = 0; i < head.fcs; ++i) {
    flops += (features + 1) * head.fc_channels;
    features = head.fc_channels;
  }
  return flops + features * (5 * config.num_classes + 1);
}

int64_t mask_flops(const DetectorConfig& config) {
  if (!has_masks(config.kind)) return 0;
  const int64_t c = config.mask_head.channels;
  const int64_t positions = int64_t{config.roi.mask_size} * config.roi.mask_size;
  int64_t channels = config.fpn_channels, flops = 0;
  for (int i = 0; i < config.mask_head.convs; ++i) {
    flops += conv_flops(channels, c, 3, positions) + c * positions;
    channels = c;
  }
  // The transposed convolution: every input pixel gives 2 x 2; then bias and ReLU of the outputs.
  const int64_t doubled = 4 * positions;
  return flops + c * c * doubled + 2 * c * doubled + conv_flops(c, config.num_classes, 1, doubled);
}

}  // namespace

int64_t multiply_adds(const DetectorConfig& config, int h, int w, int64_t boxes, int64_t masks) {
  const auto stages = static_cast<int64_t>(config.stages.size());
  return backbone_flops(config.backbone, h, w) + pyramid_flops(config, h, w) +
         stages * (boxes * box_flops(config) + masks * mask_flops(config));
}

}  // namespace asmlp
