// A convolution over several levels of a pyramid at once.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace asmlp::nn {

// The convolution (stride 1, padding k / 2, without bias) of the levels side by side, each resized
// to the first one's height and width: bilinear, corners not aligned. Level i is N x c_i x h_i x
// w_i, `weight` is out x (sum of c_i) x k x k with k odd; N x out x h_0 x w_0, channels-last.
//
// On a CPU, in fp32 and fp64, a level that is coarser is not resized: resizing is linear and
// channel by channel, so the products with the weights of each tap are taken on the coarse map, and
// those, k * k of them, are resized, shifted, and added. A level of half the height and width thus
// takes a quarter of the products. Both directions; differentiates to any order. Everything else
// resizes, concatenates, and convolves. Error(kInvalidArgument) when the shapes do not fit.
torch::Tensor conv_of_levels(const std::vector<torch::Tensor>& levels, const torch::Tensor& weight);
torch::Tensor eager_conv_of_levels(const std::vector<torch::Tensor>& levels,
                                   const torch::Tensor& weight);

// The second half of that: N x (k * k * out) x h x w, the products of tap (i, j) in channels (i * k
// + j) * out and following, to N x out x height x width: the sum over the taps of the resized
// products, shifted by (i - k / 2, j - k / 2), zeros coming in. fp32 or fp64 on a CPU.
torch::Tensor add_taps(const torch::Tensor& products, int64_t kernel, int64_t height,
                       int64_t width);

}  // namespace asmlp::nn
