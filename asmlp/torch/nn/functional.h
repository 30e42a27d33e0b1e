// The two operators AS-MLP spends its time in, each fused with the GELU that follows it.
//
// On a CPU, in fp32 and fp64, they are kernels of our own: matrix products on blocks of rows that
// stay in the cache, spread over LibTorch's threads, with bias, activation and their gradients
// applied while a block is there. Everything else (other devices and types) takes the composed
// forms. Both differentiate to any order; the gradient of the gradient runs through the composed
// form.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/nn/kernels.h"

namespace asmlp::nn {

// activation(x W^T + b) on the last dimension. x is ... x in; weight is out x in, or out x in x 1 x
// 1 (a pointwise convolution); bias has `out` elements or is an undefined tensor.
// Error(kInvalidArgument) when the shapes do not fit.
torch::Tensor fused_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation = Activation::kNone);
torch::Tensor composed_linear(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& bias, Activation activation);

// GroupNorm with one group, then the activation. x is N x H x W x C: mean and variance over H, W
// and C of a sample (eps is kNormEps), weight and bias per channel.
torch::Tensor fused_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias,
                               Activation activation = Activation::kNone);
torch::Tensor composed_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                                  const torch::Tensor& bias, Activation activation);

}  // namespace asmlp::nn
