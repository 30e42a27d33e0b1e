// Everything a segmentor decides and reserves for one input size before it runs.
#pragma once

#include <vector>

#include "asmlp/engine/heads/head_steps.h"
#include "asmlp/engine/heads/segmentor_weights.h"

namespace asmlp {

struct SegmentorPlan {
  // Error(kInvalidArgument, kTooLarge) as Plan.
  SegmentorPlan(const SegmentorConfig& config, const SegmentorWeights& weights,
                const EngineOptions& options, ThreadPool& pool, MemoryBlock& memory);

  EngineOptions options;
  Plan plan;
  HeadMap coarsest;                // the last stage's map, and beside it the pooled ones
  std::vector<HeadMap> pooled;     // of each scale, before its convolution
  std::vector<HeadMap> projected;  // and after
  std::vector<HeadMap> laterals;   // of all stages: the sums from above
  std::vector<HeadMap> outputs;    // of all stages but the last; the first may have no memory
  HeadMap levels;                  // all of them side by side, as large as the finest
  HeadMap logits;
  int64_t generation;  // of the memory block
};

}  // namespace asmlp
