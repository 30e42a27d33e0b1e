// Takes a model's tensors by name and packs them into one block of memory.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/arena.h"
#include "asmlp/core/tensor.h"
#include "asmlp/kernels/gemm.h"

namespace asmlp {

struct PackedNorm {
  float* gamma = nullptr;  // one per channel
  float* beta = nullptr;
};

// First every shape, then the memory, then the values: what is added must stay where it is until
// pack().
class WeightPacker {
 public:
  // Weights of dtype I8, with the tensors that go with them (weights/quantized.h), are packed for
  // `kernels`, which then are of precision int8; others for the fp32 kernels that belong to those.
  // `tensors` must have been checked against the model's parameters, and outlive this.
  WeightPacker(const KernelSet& kernels, const TensorMap& tensors, Arena& arena)
      : kernels_(kernels), tensors_(tensors), arena_(arena) {}

  // A convolution or linear layer: NAME.weight [cols, ...], everything behind the first extent
  // being the depth, and NAME.bias where there is one. With `positions` the depth is [channels]
  // [positions] there and packed as [positions][channels] (PackedMatrix::pack_panel).
  // Error(kUnsupported) for an int8 layer of more than kMaxInt8Depth inputs.
  void add(PackedMatrix& matrix, const std::string& name, int64_t positions = 1);
  // Layers that read the same rows as one, their columns side by side. Error(kUnsupported) when one
  // of them is quantized.
  void add_side_by_side(PackedMatrix& matrix, const std::vector<std::string>& names);
  // A weight that is made of the file's: [cols][depth] fp32, and cols biases.
  void add(PackedMatrix& matrix, Tensor weight, Tensor bias, int64_t positions = 1);
  // NAME.weight and NAME.bias of a norm.
  void add(PackedNorm& norm, const std::string& name);
  // NAME as fp32.
  void add(float*& values, const std::string& name);

  // Packs on every core the process may use. The pages of a mapped file are given back as soon as
  // they were read, so that a model is never in memory twice.
  void pack();

 private:
  struct MatrixJob {
    PackedMatrix* matrix;
    Tensor weight, bias;  // no bytes of a layer without bias
    int64_t positions;
    std::byte* memory;
    std::string quantized;  // the layer's name, for its scales
  };
  struct VectorJob {
    float** target;
    const Tensor* tensor;
  };
  void pack_scales(PackedMatrix& matrix, const std::string& name) const;

  const KernelSet& kernels_;
  const TensorMap& tensors_;
  Arena& arena_;
  std::vector<MatrixJob> matrices_;
  std::vector<VectorJob> vectors_;
};

}  // namespace asmlp
