// What the fused operators share.
#pragma once

#include <torch/torch.h>

#include <initializer_list>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/kernels/bf16_gemm.h"
#include "asmlp/torch/kernels/kernels.h"
#include "asmlp/torch/ops/autocast.h"
#include "asmlp/torch/ops/functional.h"

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

// Feature maps may be stored in bf16 too, with fp32 parameters.
inline bool norm_fits(const torch::Tensor& x, std::initializer_list<torch::Tensor> parameters) {
  if (x.scalar_type() != at::kBFloat16) {
    return kernel_fits({x}) && kernel_fits(parameters) &&
           parameters.begin()->scalar_type() == x.scalar_type();
  }
  return x.device().is_cpu() && x.layout() == at::kStrided && kernel_fits(parameters) &&
         parameters.begin()->scalar_type() == at::kFloat;
}

// Under bf16 autocast maps that come in fp32 are rounded first.
inline torch::Tensor as_map(const torch::Tensor& x) {
  return x.scalar_type() == at::kFloat && x.device().is_cpu() && bf16_autocast()
             ? x.to(at::kBFloat16)
             : x;
}

// Whether a map (as_map) and the parameters of its projections have kernels.
inline bool projection_fits(const torch::Tensor& x,
                            std::initializer_list<torch::Tensor> parameters) {
  if (x.scalar_type() == at::kBFloat16 && !bf16_autocast()) return false;
  return norm_fits(x, parameters);
}

// The same of operators whose products have kernels in fp32 and fp64 alone.
inline bool product_fits(std::initializer_list<torch::Tensor> tensors) {
  return !bf16_autocast() && kernel_fits(tensors);
}

// Whether these compute a bf16 map of autocast from fp32 ones: LibTorch's own products of bf16 are
// many times slower where the processor has no tiles for them.
inline bool widens_bf16(const torch::Tensor& x) {
  return x.device().is_cpu() && bf16_autocast() && !bf16_panels();
}

// An array of S (kernels.h) in a tensor.
template <typename S>
S* stored(const torch::Tensor& tensor) {
  if constexpr (std::is_same_v<S, Bf16>) {
    return reinterpret_cast<Bf16*>(tensor.data_ptr<at::BFloat16>());
  } else {
    return tensor.data_ptr<S>();
  }
}

// body(S()) for the type S of the kernels that the tensor's numbers are stored in.
template <typename Body>
void dispatch_stored(const torch::Tensor& tensor, const Body& body) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return body(float());
    case at::kDouble:
      return body(double());
    default:
      return body(Bf16());
  }
}

// body(S(), P()), P being the type whose rows products read.
template <typename Body>
void dispatch_products(const torch::Tensor& tensor, const Body& body) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return body(float(), float());
    case at::kDouble:
      return body(double(), double());
    default:
      return bf16_panels() ? body(Bf16(), Bf16()) : body(Bf16(), float());
  }
}

// How the weights of a product between maps of type S are read.
template <typename S>
constexpr WeightRounding kWeights =
    std::is_same_v<S, Bf16> ? WeightRounding::kBf16 : WeightRounding::kNone;

// Whether a result must remember how to differentiate itself.
inline bool needs_gradient(std::initializer_list<torch::Tensor> tensors) {
  if (!at::GradMode::is_enabled()) return false;
  for (const auto& tensor : tensors) {
    if (tensor.defined() && tensor.requires_grad()) return true;
  }
  return false;
}

// Error(kInvalidArgument) unless the projection takes the last of these sizes.
inline void check_projection(at::IntArrayRef x, const torch::Tensor& weight,
                             const torch::Tensor& bias) {
  require(!x.empty() && weight.dim() >= 2 && weight.numel() == weight.size(0) * weight.size(1) &&
              x.back() == weight.size(1) && weight.size(1) > 0 &&
              (!bias.defined() || bias.numel() == weight.size(0)),
          ErrorCode::kInvalidArgument, "linear: input {} does not fit the weight {}",
          to_string(Shape(x.begin(), x.end())),
          to_string(Shape(weight.sizes().begin(), weight.sizes().end())));
}

// The weight as a dense out x in matrix, the bias dense.
inline Projection dense(const Projection& projection) {
  const auto& weight = projection.weight;
  return {(weight.dim() == 2 ? weight : weight.flatten(1)).contiguous(),
          projection.bias.defined() ? projection.bias.contiguous() : torch::Tensor()};
}

// An undefined tensor is no valid argument of an autograd function, an empty optional is.
inline c10::optional<torch::Tensor> optional(const torch::Tensor& tensor) {
  return tensor.defined() ? c10::make_optional(tensor) : c10::nullopt;
}

// One factor per sample, to be multiplied with x.
inline torch::Tensor per_sample(const torch::Tensor& scale, const torch::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = scale.numel();
  return scale.reshape(shape);
}

// x + scale * branch, sample by sample; scale is undefined for 1.
inline torch::Tensor eager_sum(const torch::Tensor& x, const torch::Tensor& branch,
                               const torch::Tensor& scale) {
  return scale.defined() ? x + branch * per_sample(scale, x).to(branch.options()) : x + branch;
}

inline torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  return activation == Activation::kGelu ? torch::gelu(x) : x;
}

// Gradients of outputs = eager(inputs) that can themselves be differentiated; undefined for
// inputs that need none.
inline std::vector<torch::Tensor> differentiable_gradients(
    const std::vector<torch::Tensor>& outputs, const std::vector<torch::Tensor>& inputs,
    const std::vector<torch::Tensor>& d_outputs) {
  std::vector<torch::Tensor> wanted;
  for (const auto& input : inputs) {
    if (input.defined() && input.requires_grad()) wanted.push_back(input);
  }
  const auto found = torch::autograd::grad(outputs, wanted, d_outputs, /*retain_graph=*/true,
                                           /*create_graph=*/true);
  std::vector<torch::Tensor> gradients(inputs.size());
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined() && inputs[i].requires_grad()) gradients[i] = found[next++];
  }
  return gradients;
}

}  // namespace asmlp::nn
