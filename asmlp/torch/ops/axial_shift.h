// The axial shift (paper, section 3.2) as a differentiable LibTorch operator.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/config.h"

namespace asmlp::nn {

enum class Axis { kHeight = 1, kWidth = 2 };  // the dimension of an N x H x W x C tensor

struct AxialShift {
  Axis axis = Axis::kWidth;
  int positions = 5;  // channel groups along the axis; 1 shifts nothing
  int dilation = 1;   // pixels between neighboring groups
  Padding padding = Padding::kZero;
};

// Along shift.axis, with c the channel (shift_of_channel and padded_index of model/config.h):
//   out[n, p, c] = in[n, padded_index(p - shift_of_channel(c)), c], 0 where that is -1.
// Input N x H x W x C of a floating-point type, not empty in H, W and C. The operator is linear:
// its gradient is its adjoint, itself an operator with a gradient, so it differentiates to any
// order. Dense CPU tensors take a multi-threaded kernel of our own, everything else the eager
// form. Error(kInvalidArgument) for a wrong rank or an empty image.
torch::Tensor axial_shift(const torch::Tensor& input, const AxialShift& shift);

// Error(kInvalidArgument) unless axial_shift takes these.
void check_shift(const torch::Tensor& input, const AxialShift& shift);

// The same operator as eager ATen operations, on any device.
torch::Tensor axial_shift_composed(const torch::Tensor& input, const AxialShift& shift);

}  // namespace asmlp::nn
