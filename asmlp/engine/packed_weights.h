// A model's weights in the layout of the kernels.
#pragma once

#include <vector>

#include "asmlp/core/aligned.h"
#include "asmlp/core/tensor.h"
#include "asmlp/kernels/gemm.h"
#include "asmlp/model/config.h"

namespace asmlp {

struct PackedNorm {
  AlignedFloats gamma;  // one per channel
  AlignedFloats beta;
};

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

struct PackedWeights {
  const KernelSet* kernels;
  PackedMatrix patch_embed;
  PackedNorm patch_norm;  // empty without config.patch_norm
  std::vector<PackedStage> stages;
  PackedNorm norm;
  PackedMatrix head;  // empty with num_classes 0

  // `tensors` must have been checked against `config`.
  PackedWeights(const KernelSet& kernels, const Config& config, const TensorMap& tensors);
};

}  // namespace asmlp
