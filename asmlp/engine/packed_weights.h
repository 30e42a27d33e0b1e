// A model's weights in the layout of the kernels.
#pragma once

#include <vector>

#include "asmlp/core/arena.h"
#include "asmlp/engine/weight_packer.h"
#include "asmlp/model/config.h"

namespace asmlp {

struct PackedBlock {
  PackedNorm norm1;
  PackedMatrix conv1;
  PackedNorm shift_norm1;
  PackedMatrix conv2_1;  // after the shift along W
  PackedMatrix conv2_2;  // after the shift along H
  PackedNorm shift_norm2;
  PackedMatrix conv3;
  PackedNorm norm2;
  PackedMatrix fc1;
  PackedMatrix fc2;
};

struct PackedStage {
  std::vector<PackedBlock> blocks;
  PackedNorm merge_norm;   // empty in the last stage
  PackedMatrix reduction;  // empty in the last stage
};

// A convolution of the stem before patch_embed.proj, and the norm behind it.
struct PackedStemConv {
  PackedMatrix conv;
  PackedNorm norm;
};

struct BackboneWeights {
  std::vector<PackedStemConv> stem;
  PackedMatrix patch_embed;
  PackedNorm patch_norm;  // empty without config.patch_norm
  std::vector<PackedStage> stages;
};

// Adds the tensors of a backbone, whose names begin with `prefix`.
void add_backbone(WeightPacker& packer, const Config& config, const std::string& prefix,
                  BackboneWeights& weights);

struct ClassifierHead {
  PackedNorm norm;
  PackedMatrix head;  // empty with num_classes 0
};

// A classifier's. Everything lies in one block of memory.
struct PackedWeights : BackboneWeights, ClassifierHead {
  const KernelSet* kernels;  // of all that is not quantized

  // See WeightPacker. `tensors` must have been checked against `config`.
  PackedWeights(const KernelSet& kernels, const Config& config, const TensorMap& tensors);
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  int64_t bytes() const { return arena.bytes(); }

 private:
  Arena arena;
};

}  // namespace asmlp
