#include <fmt/format.h>

#include "asmlp/onnx/networks.h"

namespace asmlp {
namespace {

using Value = GraphBuilder::Value;

}  // namespace

std::vector<OnnxOutput> add_detector(GraphBuilder& graph, OnnxLayers& layers,
                                     const DetectorConfig& config, const Value& input) {
  const OnnxBackbone maps = add_backbone(graph, layers, config.backbone, "backbone.", input);
  const size_t stages = maps.stages.size(), levels = config.rpn.anchors.strides.size();
  std::vector<Value> pyramid(levels);
  Value sum;
  graph.scope("neck.");
  for (size_t k = stages; k-- > 0;) {
    const Value map = layers.norm(fmt::format("backbone.norm{}", k), maps.stages[k]);
    Value lateral = layers.conv(fmt::format("neck.lateral_convs.{}.conv", k), map);
    if (k + 1 < stages) lateral = layers.add(lateral, layers.resize_nearest(sum, lateral));
    sum = lateral;
    pyramid[k] = layers.conv3(fmt::format("neck.fpn_convs.{}.conv", k), sum);
  }
  for (size_t k = stages; k < levels; ++k) pyramid[k] = layers.halved(pyramid[k - 1]);

  std::vector<OnnxOutput> outputs;
  graph.scope("rpn_head.");
  const auto anchors = static_cast<int64_t>(config.rpn.anchors.ratios.size());
  for (size_t k = 0; k < levels; ++k) {
    const int64_t stride = int64_t{config.backbone.patch_size} << k;
    const Value x = layers.relu(layers.conv3("rpn_head.rpn_conv", pyramid[k]));
    outputs.push_back({fmt::format("pyramid.{}", k), pyramid[k], config.fpn_channels, stride});
    outputs.push_back(
        {fmt::format("rpn.logits.{}", k), layers.conv("rpn_head.rpn_cls", x), anchors, stride});
    outputs.push_back(
        {fmt::format("rpn.deltas.{}", k), layers.conv("rpn_head.rpn_reg", x), 4 * anchors, stride});
  }
  return outputs;
}

std::vector<OnnxOutput> add_segmentor(GraphBuilder& graph, OnnxLayers& layers,
                                      const SegmentorConfig& config, const Value& input) {
  const OnnxBackbone maps = add_backbone(graph, layers, config.backbone, "backbone.", input);
  const std::string head = "decode_head.";
  const size_t stages = maps.stages.size();
  graph.scope(head);
  const auto normalized = [&](size_t k) {
    return layers.norm(fmt::format("backbone.norm{}", k), maps.stages[k]);
  };
  // Pyramid pooling of the coarsest map.
  const Value coarsest = normalized(stages - 1);
  std::vector<Value> parts{coarsest};
  const std::vector<int>& scales = config.decode_head.pool_scales;
  for (size_t k = 0; k < scales.size(); ++k) {
    const Value pooled = layers.adaptive_pool(coarsest, scales[k]);
    const Value projected =
        layers.relu(layers.conv(fmt::format("{}psp_modules.{}.1.conv", head, k), pooled));
    parts.push_back(layers.resize_bilinear(projected, coarsest));
  }
  Value sum = layers.relu(layers.conv3(head + "bottleneck.conv", layers.concat(parts)));
  // Top down.
  std::vector<Value> levels(stages);
  levels.back() = sum;
  for (size_t k = stages - 1; k-- > 0;) {
    const Value lateral =
        layers.relu(layers.conv(fmt::format("{}lateral_convs.{}.conv", head, k), normalized(k)));
    sum = layers.add(lateral, layers.resize_bilinear(sum, lateral));
    levels[k] = layers.relu(layers.conv3(fmt::format("{}fpn_convs.{}.conv", head, k), sum));
  }
  for (size_t k = 1; k < stages; ++k) levels[k] = layers.resize_bilinear(levels[k], levels[0]);
  const Value fused =
      layers.relu(layers.conv3(head + "fpn_bottleneck.conv", layers.concat(levels)));
  return {{"logits", layers.conv(head + "conv_seg", fused), config.num_classes,
           config.backbone.patch_size}};
}

}  // namespace asmlp
