#include "asmlp/engine/heads/segmentor_plan.h"

namespace asmlp {
namespace {

HeadsNeeds needs_of(const SegmentorWeights& weights) {
  HeadNeedsOf needs;
  for (const auto* convs : {&weights.pooling, &weights.laterals, &weights.outputs}) {
    for (const PackedConv& conv : *convs) needs.conv(conv);
  }
  needs.conv(weights.bottleneck);
  needs.conv(weights.fusion);
  needs.product(weights.classes);
  needs.hidden(weights.fusion.matrix.panels() * weights.fusion.matrix.tile_cols());
  return needs.needs();
}

}  // namespace

SegmentorPlan::SegmentorPlan(const SegmentorConfig& config, const SegmentorWeights& weights,
                             const EngineOptions& engine_options, ThreadPool& pool,
                             MemoryBlock& memory)
    : options(engine_options),
      plan(*weights.kernels, config.backbone, weights, options, pool, needs_of(weights)) {
  const int channels = config.decode_head.channels, cols = plan.kernels.tile_cols;
  const auto add = [&](HeadMap& map, MapSize size, int map_channels, int64_t stride) {
    map = {nullptr, size.h, size.w, map_channels, stride, 1};
    plan.arena.reserve(map.data, map.rows() * map.stride);
  };
  const size_t stages = plan.stages.size(), scales = config.decode_head.pool_scales.size();
  const MapSize finest = plan.stages.front().size, last = plan.stages.back().size;
  const int top = plan.stages.back().channels,
            side_by_side = top + static_cast<int>(scales) * channels;
  const int64_t stride = round_up(channels, cols);
  add(coarsest, last, side_by_side, side_by_side);
  pooled.resize(scales);
  projected.resize(scales);
  for (size_t k = 0; k < scales; ++k) {
    const int bins = config.decode_head.pool_scales[k];
    add(pooled[k], {bins, bins}, top, top);
    add(projected[k], {bins, bins}, channels, stride);
  }
  laterals.resize(stages);
  outputs.resize(stages - 1);
  for (size_t k = 0; k < stages; ++k) add(laterals[k], plan.stages[k].size, channels, stride);
  // Those of the finest level are written where they belong, unless their columns would reach into
  // the next level's.
  for (size_t k = channels % cols == 0 ? 1 : 0; k + 1 < stages; ++k) {
    add(outputs[k], plan.stages[k].size, channels, stride);
  }
  const int all = static_cast<int>(stages) * channels;
  add(levels, finest, all, all);
  add(logits, finest, config.num_classes, round_up(config.num_classes, cols));
  plan.allocate(memory);
  generation = memory.generation();
  if (!options.profile) return;
  for (const char* step : {"laterals", "pooling", "pyramid", "fusion"}) {
    plan.profile.push_back({step, kHeadsStage, 0, 0});
  }
}

}  // namespace asmlp
