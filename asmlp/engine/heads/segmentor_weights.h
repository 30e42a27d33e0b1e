// A segmentor's weights in the layout of the kernels.
#pragma once

#include <vector>

#include "asmlp/engine/heads/packed_conv.h"
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

}  // namespace asmlp
