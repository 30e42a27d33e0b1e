// The operators AS-MLP spends its time in, fused as far as rows of pixels allow.
//
// On a CPU, in fp32 and fp64, they are kernels of our own: matrix products on blocks of rows that
// stay in the cache, spread over LibTorch's threads, with shift, bias, activation and their
// gradients applied while a block is there. Everything else (other devices and types) takes the
// eager forms. Both differentiate to any order; the gradient of the gradient runs through the
// eager form.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/ops/axial_shift.h"
#include "asmlp/torch/ops/kernels.h"

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

// GELU(first(axial_shift(x, first_shift))) + GELU(second(axial_shift(x, second_shift))) for x of
// N x H x W x C: the shifted maps exist in the cache only, a block of rows at a time.
struct ShiftedProjection {
  AxialShift shift;
  Projection projection;
};
torch::Tensor fused_shifted_sum(const torch::Tensor& x, const ShiftedProjection& first,
                                const ShiftedProjection& second);
torch::Tensor eager_shifted_sum(const torch::Tensor& x, const ShiftedProjection& first,
                                const ShiftedProjection& second);

// x + scale * branch, sample by sample: `scale` has as many elements as x has samples, or is
// undefined for 1. No gradient for the scale.
torch::Tensor fused_add(const torch::Tensor& x, const torch::Tensor& branch,
                        const torch::Tensor& scale);

}  // namespace asmlp::nn
