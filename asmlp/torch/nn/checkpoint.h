// Activation checkpointing: memory for time.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <vector>

namespace asmlp::nn {

// y = block(x), of which only x is kept for the backward pass: backward computes the block again,
// with the random numbers (drop path) and the autocast type of the first time, and differentiates
// that. The gradients have the bits they would have had.
//
// `parameters` are the tensors that `block` uses and that need a gradient; x must need one too, or
// one of them. `block` must outlive the backward pass and compute the same thing twice. Without
// gradients to compute (evaluation) it is just block(x). The gradient cannot be differentiated
// again: Error(kUnsupported).
torch::Tensor checkpoint(const std::function<torch::Tensor(const torch::Tensor&)>& block,
                         const torch::Tensor& x, const std::vector<torch::Tensor>& parameters);

}  // namespace asmlp::nn
