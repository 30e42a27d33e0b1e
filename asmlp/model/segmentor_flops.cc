#include "asmlp/model/flops.h"

namespace asmlp {

int64_t multiply_adds(const SegmentorConfig& config, int h, int w) {
  const UperHeadConfig& head = config.decode_head;
  const Config& backbone = config.backbone;
  const auto maps = stage_sizes(backbone, h, w);
  const auto positions = [&](size_t level) { return int64_t{maps[level].h} * maps[level].w; };
  const int64_t c = head.channels, top = backbone.num_features();
  const size_t last = maps.size() - 1;
  int64_t flops = backbone_flops(backbone, h, w);
  for (const int64_t scale : head.pool_scales) {
    flops += top * positions(last) + conv_bn_relu_flops(top, c, 1, scale * scale);
  }
  const auto scales = static_cast<int64_t>(head.pool_scales.size());
  flops += conv_bn_relu_flops(top + scales * c, c, 3, positions(last));
  for (size_t level = 0; level < last; ++level) {
    const int64_t in = backbone.dim(static_cast<int>(level));
    flops += conv_bn_relu_flops(in, c, 1, positions(level)) +
             conv_bn_relu_flops(c, c, 3, positions(level));
  }
  return flops + conv_bn_relu_flops(static_cast<int64_t>(maps.size()) * c, c, 3, positions(0)) +
         conv_flops(c, config.num_classes, 1, positions(0));
}

}  // namespace asmlp
