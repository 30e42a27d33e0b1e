// The operators AS-MLP spends its time in, fused as far as rows of pixels allow.
//
// On a CPU they are kernels of our own, in fp32, fp64 and, under bf16 autocast, with maps in bf16,
// fp32 parameters and fp32 sums: matrix products on blocks of rows that stay in the cache, spread
// over LibTorch's threads, with norm, shift, bias, activation and their gradients applied while a
// block is there. Everything else (other devices and types) takes the eager forms. Both
// differentiate to any order; the gradient of the gradient runs through the eager form.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/kernels/kernels.h"
#include "asmlp/torch/ops/axial_shift.h"

namespace asmlp::nn {

// activation(x W^T + b) on the last dimension. x is ... x in; weight is out x in, or out x in x 1 x
// 1 (a pointwise convolution); bias has `out` elements or is an undefined tensor.
// Error(kInvalidArgument) when the shapes do not fit.
torch::Tensor fused_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation = Activation::kNone);
torch::Tensor eager_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation);

// GroupNorm with one group, then the activation. x is N x H x W x C: mean and variance over H, W
// and C of a sample (eps is kNormEps), weight and bias per channel.
torch::Tensor fused_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias,
                               Activation activation = Activation::kNone);
torch::Tensor eager_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, Activation activation);

// x and its norm, for a branch that starts with the norm and is added to x at its end: the gradient
// that comes back along x is added where the norm's own is finished.
struct ForkedNorm {
  torch::Tensor x;
  torch::Tensor normal;
};
ForkedNorm fork_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias);

// The weight (as fused_linear's) and the bias of a projection; the bias may be undefined.
struct Projection {
  torch::Tensor weight;
  torch::Tensor bias;
};

// second(GELU(first(x))): the hidden activation exists in the cache only.
torch::Tensor fused_mlp(const torch::Tensor& x, const Projection& first, const Projection& second);
torch::Tensor eager_mlp(const torch::Tensor& x, const Projection& first, const Projection& second);

// A map of N x H x W x C and, where something has computed them on the way (else undefined), the
// moments of its samples, N x 2: mean and 1 / sqrt(variance + eps). They carry no gradient.
struct FeatureMap {
  torch::Tensor x;
  torch::Tensor moments;
};

// The two halves of an AS-MLP block, each with the norm before it and the residual sum after it:
//   x + scale * branch(norm(x)),
// sample by sample: `scale` has as many elements as x has samples, or is undefined for 1 (no
// gradient). A sample whose factor is 0 is not computed. The weight and bias of a norm are of C.
//
// mlp: second(GELU(first(.)))
FeatureMap fused_mlp_block(const FeatureMap& x, const Projection& norm, const Projection& first,
                           const Projection& second, const torch::Tensor& scale);
torch::Tensor eager_mlp_block(const torch::Tensor& x, const Projection& norm,
                              const Projection& first, const Projection& second,
                              const torch::Tensor& scale);

// axial shift: conv3(norm2(GELU(conv2_1(shift_w(a))) + GELU(conv2_2(shift_h(a)))))
//   with a = GELU(norm1(conv1(.))),
// in parallel connection, under the names of the state dict. All projections are C to C.
struct ShiftBlock {
  Projection norm, conv1, norm1, conv2_1, conv2_2, norm2, conv3;
  AxialShift along_w, along_h;
};
FeatureMap fused_shift_block(const FeatureMap& x, const ShiftBlock& block,
                             const torch::Tensor& scale);
torch::Tensor eager_shift_block(const torch::Tensor& x, const ShiftBlock& block,
                                const torch::Tensor& scale);

// x + scale * branch, sample by sample: `scale` has as many elements as x has samples, or is
// undefined for 1. No gradient for the scale.
torch::Tensor fused_add(const torch::Tensor& x, const torch::Tensor& branch,
                        const torch::Tensor& scale);

}  // namespace asmlp::nn
