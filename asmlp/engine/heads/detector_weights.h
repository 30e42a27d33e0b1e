// A detector's weights in the layout of the kernels.
#pragma once

#include <vector>

#include "asmlp/engine/heads/packed_conv.h"
#include "asmlp/model/detector_config.h"

namespace asmlp {

struct BoxHeadWeights {
  std::vector<PackedConv> convs;
  std::vector<PackedConv> fcs;  // the first one's depth is [bin][channel]
  PackedConv outputs;           // fc_cls's columns, then fc_reg's
};

struct MaskHeadWeights {
  std::vector<PackedConv> convs;
  PackedMatrix upsample;         // [2 x 2 positions][channels] columns
  float* logits = nullptr;       // num_classes x channels
  float* logits_bias = nullptr;  // num_classes
};

// Everything lies in one block of memory.
struct DetectorWeights : BackboneWeights {
  const KernelSet* kernels;          // of all that is not quantized
  std::vector<PackedNorm> norms;     // of the stages' maps
  std::vector<PackedConv> laterals;  // of the stages
  std::vector<PackedConv> outputs;   // of the pyramid
  PackedConv rpn_conv;
  PackedMatrix rpn_outputs;  // rpn_cls's columns (one per anchor), then rpn_reg's (four)
  std::vector<BoxHeadWeights> box_heads;    // of the cascade's stages
  std::vector<MaskHeadWeights> mask_heads;  // the same; none of a detector of boxes

  // `tensors` are the official ones, checked against `config`; see WeightPacker.
  DetectorWeights(const KernelSet& kernels, const DetectorConfig& config, const TensorMap& tensors);
  DetectorWeights(const DetectorWeights&) = delete;
  DetectorWeights& operator=(const DetectorWeights&) = delete;

  int64_t bytes() const { return arena.bytes(); }

 private:
  Arena arena;
};

}  // namespace asmlp
