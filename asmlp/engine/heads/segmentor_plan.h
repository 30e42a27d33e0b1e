// A segmentor's weights in the layout of the kernels, and what it reserves for an input size.
#pragma once

#include <vector>

#include "asmlp/engine/heads/head_steps.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp {

// Everything lies in one block of memory.
struct SegmentorWeights : BackboneWeights {
  const KernelSet* kernels;          // of all that is not quantized
  std::vector<PackedNorm> norms;     // of the stages' maps
  std::vector<PackedConv> pooling;   // of each scale of the pyramid pooling
  PackedConv bottleneck;             // of the coarsest map and the pooled ones side by side
  std::vector<PackedConv> laterals;  // of the stages but the last
  std::vector<PackedConv> outputs;   // the same
  PackedConv fusion;                 // of all levels side by side
  PackedMatrix classes;

  // `tensors` are the official ones, checked against `config`; see WeightPacker.
  SegmentorWeights(const KernelSet& kernels, const SegmentorConfig& config,
                   const TensorMap& tensors);
  SegmentorWeights(const SegmentorWeights&) = delete;
  SegmentorWeights& operator=(const SegmentorWeights&) = delete;

  int64_t bytes() const { return arena.bytes(); }

 private:
  Arena arena;
};

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
  std::vector<HeadMap> outputs;    // of all stages but the last
  HeadMap levels;                  // all of them side by side, as large as the finest
  HeadMap logits;
  int64_t generation;  // of the memory block
};

}  // namespace asmlp
