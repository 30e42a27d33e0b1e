#include "asmlp/engine/heads/detector_plan.h"

#include <algorithm>

#include "asmlp/detection/anchors.h"

namespace asmlp {
namespace {

HeadsNeeds needs_of(const DetectorWeights& weights) {
  HeadNeedsOf needs;
  for (const PackedConv& conv : weights.laterals) needs.conv(conv);
  for (const PackedConv& conv : weights.outputs) needs.conv(conv);
  needs.conv(weights.rpn_conv);
  needs.product(weights.rpn_outputs);
  needs.hidden(weights.rpn_conv.matrix.panels() * weights.rpn_conv.matrix.tile_cols());
  for (const BoxHeadWeights& head : weights.box_heads) {
    for (const PackedConv& conv : head.convs) needs.conv(conv);
    for (const PackedConv& fc : head.fcs) needs.conv(fc);
    needs.conv(head.outputs);
  }
  for (const MaskHeadWeights& head : weights.mask_heads) {
    for (const PackedConv& conv : head.convs) needs.conv(conv);
    needs.product(head.upsample);
    needs.hidden(head.upsample.panels() * head.upsample.tile_cols());
  }
  return needs.needs();
}

HeadMap map_of(MapSize size, int channels, int images, const KernelSet& kernels) {
  return {nullptr, size.h, size.w, channels, round_up(channels, kernels.tile_cols), images};
}

std::vector<ProfileEntry> profile_of_heads() {
  std::vector<ProfileEntry> entries;
  for (const char* step :
       {"pyramid", "rpn", "proposals", "box_heads", "nms", "mask_heads", "paste"}) {
    entries.push_back({step, kHeadsStage, 0, 0});
  }
  return entries;
}

}  // namespace

DetectorPlan::DetectorPlan(const DetectorConfig& config, const DetectorWeights& weights,
                           const EngineOptions& engine_options, ThreadPool& pool,
                           MemoryBlock& memory)
    : options(engine_options),
      plan(*weights.kernels, config.backbone, weights, options, pool, needs_of(weights)) {
  const KernelSet& kernels = plan.kernels;
  const int batch = options.max_batch;
  const auto reserve = [&](HeadMap& map) { plan.arena.reserve(map.data, map.rows() * map.stride); };
  for (const StagePlan& stage : plan.stages) {
    laterals.push_back(map_of(stage.size, config.fpn_channels, batch, kernels));
  }
  MapSize size{};
  for (size_t level = 0; level < config.rpn.anchors.strides.size(); ++level) {
    size = level < laterals.size() ? plan.stages[level].size
                                   : MapSize{(size.h + 1) / 2, (size.w + 1) / 2};
    pyramid.push_back(map_of(size, config.fpn_channels, batch, kernels));
    rpn.push_back(map_of(size, static_cast<int>(weights.rpn_outputs.cols()), batch, kernels));
    anchors.push_back(detect::level_anchors(config.rpn.anchors, level, size));
  }
  for (HeadMap& map : laterals) reserve(map);
  for (HeadMap& map : pyramid) reserve(map);
  for (HeadMap& map : rpn) reserve(map);

  const int64_t most = int64_t{config.rpn.test_proposals.kept} * batch;
  box_group = std::min(most, config.box_head.convs > 0 ? kBoxConvGroup : kBoxGroup);
  mask_group = std::min(int64_t{config.test.max_detections} * batch, kMaskGroup);
  const auto floats_of = [&](int bins, int channels) {
    return int64_t{bins} * bins * round_up(channels, kernels.tile_cols);
  };
  const int box_channels = std::max(config.fpn_channels, config.box_head.conv_channels);
  int64_t map_floats = box_group * floats_of(config.roi.box_size, box_channels);
  if (has_masks(config.kind)) {
    const int channels = std::max(config.fpn_channels, config.mask_head.channels);
    map_floats = std::max(map_floats, mask_group * floats_of(config.roi.mask_size, channels));
  }
  region_row_stride = round_up(config.box_head.fc_channels, kernels.tile_cols);
  const bool two_maps = has_masks(config.kind) || config.box_head.convs > 0;
  for (int i : {0, 1}) {
    if (i == 0 || two_maps) plan.arena.reserve(region_maps[i], map_floats);
    plan.arena.reserve(region_rows[i], box_group * region_row_stride);
  }
  plan.allocate(memory);
  generation = memory.generation();
  if (options.profile) {
    for (ProfileEntry& entry : profile_of_heads()) plan.profile.push_back(std::move(entry));
  }
}

}  // namespace asmlp
