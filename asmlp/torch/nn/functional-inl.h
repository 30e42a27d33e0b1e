// What linear.cc and group_norm.cc share.
#pragma once

#include <torch/torch.h>

#include <initializer_list>
#include <vector>

#include "asmlp/torch/nn/kernels.h"

namespace asmlp::nn {

// The kernels take dense fp32 or fp64 tensors of one type in the memory of the CPU.
inline bool kernel_fits(std::initializer_list<torch::Tensor> tensors) {
  const auto type = tensors.begin()->scalar_type();
  if (type != at::kFloat && type != at::kDouble) return false;
  for (const auto& tensor : tensors) {
    if (!tensor.defined()) continue;
    if (!tensor.device().is_cpu() || tensor.layout() != at::kStrided) return false;
    if (tensor.scalar_type() != type) return false;
  }
  return true;
}

// Whether a result must remember how to differentiate itself.
inline bool needs_gradient(std::initializer_list<torch::Tensor> tensors) {
  if (!at::GradMode::is_enabled()) return false;
  for (const auto& tensor : tensors) {
    if (tensor.defined() && tensor.requires_grad()) return true;
  }
  return false;
}

inline torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  return activation == Activation::kGelu ? torch::gelu(x) : x;
}

// Gradients of output = composed(inputs) that can themselves be differentiated; undefined for
// inputs that need none.
inline std::vector<torch::Tensor> differentiable_gradients(const torch::Tensor& output,
                                                           const std::vector<torch::Tensor>& inputs,
                                                           const torch::Tensor& d_output) {
  std::vector<torch::Tensor> wanted;
  for (const auto& input : inputs) {
    if (input.defined() && input.requires_grad()) wanted.push_back(input);
  }
  const auto found = torch::autograd::grad({output}, wanted, {d_output}, /*retain_graph=*/true,
                                           /*create_graph=*/true);
  std::vector<torch::Tensor> gradients(inputs.size());
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined() && inputs[i].requires_grad()) gradients[i] = found[next++];
  }
  return gradients;
}

}  // namespace asmlp::nn
