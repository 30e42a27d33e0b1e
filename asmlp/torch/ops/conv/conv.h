// The convolutions of detection and segmentation heads, on channels-last maps.
#pragma once

#include <torch/torch.h>

namespace asmlp::nn {

enum class AfterSum { kNothing, kRelu };

// after(conv(x) + bias): stride 1, padding k / 2, so that the map keeps its size. x is N x in x h x
// w of any memory layout (channels-last is read where it is; N may be 0), weight is out x in x k x
// k with k odd, bias has `out` elements or is an undefined tensor. The result is channels-last.
//
// On a CPU, in fp32 and fp64, it is one copy of the neighbors of some rows at a time, which stays
// in the cache, and products on the tiles of gemm.h, forward and backward; ReLU and its gradient
// cost no pass of their own over the map. Everything else (other devices and types, bf16 autocast)
// takes the eager form. Both differentiate to any order; the gradient of the gradient runs through
// the eager form. Error(kInvalidArgument) when the shapes do not fit.
torch::Tensor fused_conv(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, AfterSum after = AfterSum::kNothing);
torch::Tensor eager_conv(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, AfterSum after);

// The same of vectors: after(x weight^T + bias), x N x in, weight out x in.
torch::Tensor fused_dense(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, AfterSum after = AfterSum::kNothing);

// The transposed convolution of 2 x 2 with stride 2, bias, and ReLU, followed by a 1 x 1
// convolution: what a mask head ends with. x is N x in x h x w, up_weight in x middle x 2 x 2,
// weight out x middle x 1 x 1; N x out x 2h x 2w. Every cell becomes four of its own, so the second
// convolution works on the first one's products where they are, and only its result is put in
// order.
torch::Tensor upsampled_conv(const torch::Tensor& x, const torch::Tensor& up_weight,
                             const torch::Tensor& up_bias, const torch::Tensor& weight,
                             const torch::Tensor& bias);

}  // namespace asmlp::nn
