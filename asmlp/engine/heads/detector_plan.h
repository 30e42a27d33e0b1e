// Everything a detector decides and reserves for one input size before it runs.
#pragma once

#include <vector>

#include "asmlp/detection/box.h"
#include "asmlp/engine/heads/detector_weights.h"
#include "asmlp/engine/heads/head_steps.h"

namespace asmlp {

// Regions, and found objects, that go through the heads together: their maps then stay in the
// caches or near them, and each group streams the weights once.
inline constexpr int64_t kBoxGroup = 1024;     // of heads of linear layers only
inline constexpr int64_t kBoxConvGroup = 256;  // of heads with convolutions
inline constexpr int64_t kMaskGroup = 64;

struct DetectorPlan {
  // Error(kInvalidArgument, kTooLarge) as Plan.
  DetectorPlan(const DetectorConfig& config, const DetectorWeights& weights,
               const EngineOptions& options, ThreadPool& pool, MemoryBlock& memory);

  EngineOptions options;
  Plan plan;
  // Per level of the pyramid, finest first.
  std::vector<HeadMap> laterals;  // of the backbone's stages: the sums from above
  std::vector<HeadMap> pyramid;
  std::vector<HeadMap> rpn;  // rows of rpn_outputs' columns
  std::vector<std::vector<detect::Box>> anchors;
  int64_t box_group, mask_group;
  // Maps of a group of regions on their way through convolutions, and its rows through linear
  // layers.
  float* region_maps[2] = {};
  float* region_rows[2] = {};
  int64_t region_row_stride;
  int64_t generation;  // of the memory block
};

}  // namespace asmlp
