// The convolution of 3 x 3 with stride 2 on maps of N x H x W x C: what halves a map in the stem
// and between the stages (model/config.h).
#pragma once

#include <torch/torch.h>

namespace asmlp::nn {

// The neighborhoods that it takes, as rows of a matrix: N x ceil(H/2) x ceil(W/2) x 9C, where pixel
// (y, x) has the pixels (2y + i - 1, 2x + j - 1) side by side, j < 3 within i < 3, zeros outside of
// the map. fp32, fp64 and bf16 on a CPU; differentiable to any order. Error(kInvalidArgument) for
// another rank.
torch::Tensor halving_taps(const torch::Tensor& x);

// conv(x) + bias with zeros around: N x ceil(H/2) x ceil(W/2) x out. weight is out x C x 3 x 3,
// bias has `out` elements or is an undefined tensor. On a CPU it is one product over halving_taps.
torch::Tensor halving_conv(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias);

}  // namespace asmlp::nn
