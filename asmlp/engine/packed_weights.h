// A model's weights in the layout of the kernels.
#pragma once

#include <vector>

#include "asmlp/core/arena.h"
#include "asmlp/core/tensor.h"
#include "asmlp/kernels/gemm.h"
#include "asmlp/model/config.h"

namespace asmlp {

struct PackedNorm {
  float* gamma = nullptr;  // one per channel
  float* beta = nullptr;
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

// Everything lies in one block of memory.
struct PackedWeights {
  // Of all that is not quantized.
  const KernelSet* kernels;
  PackedMatrix patch_embed;
  PackedNorm patch_norm;  // empty without config.patch_norm
  std::vector<PackedStage> stages;
  PackedNorm norm;
  PackedMatrix head;  // empty with num_classes 0

  // Packs on every core the process may use. Weights of dtype I8, with the tensors that go with
  // them, are for `kernels` of precision int8; others are packed for the fp32 kernels that belong
  // to those. `tensors` must have been checked against `config`; the pages of a mapped file are
  // given back as soon as they were read, so that a model is never in memory twice.
  // Error(kUnsupported) for an int8 layer of more than kMaxInt8Depth inputs.
  PackedWeights(const KernelSet& kernels, const Config& config, const TensorMap& tensors);
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  int64_t bytes() const { return arena.bytes(); }

 private:
  Arena arena;
};

}  // namespace asmlp
