#include "asmlp/torch/baselines/layers.h"

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/nn/blocks.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {

torch::Tensor project(const torch::Tensor& x, const torch::nn::Linear& linear,
                      Activation activation) {
  return fused_linear(x, linear->weight, linear->bias, activation);
}

torch::nn::LayerNorm layer_norm(int64_t dim, double eps) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim}).eps(eps));
}

torch::Tensor add_branch(const torch::Tensor& x, const torch::Tensor& branch, double drop_path,
                         bool training) {
  return fused_add(x, branch, drop_path_scale(x, drop_path, training));
}

torch::Tensor mix_positions(const torch::Tensor& x, const torch::nn::Linear& linear,
                            Activation activation) {
  const auto by_channel = x.flatten(1, 2).transpose(1, 2);  // N x C x positions
  return project(by_channel, linear, activation).transpose(1, 2).reshape(x.sizes());
}

void truncated_normal(const torch::Tensor& tensor) {
  torch::NoGradGuard no_grad;
  tensor.normal_(0, 0.02).clamp_(-2, 2);
}

void lecun_normal(const torch::Tensor& weight) {
  torch::NoGradGuard no_grad;
  // A unit normal cut at +-2 has the deviation 0.87962566.
  const double fan_in = double(weight.numel()) / double(weight.size(0));
  const double deviation = std::sqrt(1 / fan_in) / 0.87962566103423978;
  // By the inverse of the distribution function: uniform between those of -2 and 2.
  const double low = std::erf(-2 / std::sqrt(2.0));
  weight.uniform_(low, -low).erfinv_().mul_(deviation * std::sqrt(2.0));
}

torch::Tensor pad_map(const torch::Tensor& x, int64_t multiple) {
  const int64_t bottom = missing(x.size(1), multiple), right = missing(x.size(2), multiple);
  if (bottom == 0 && right == 0) return x;
  return torch::constant_pad_nd(x, {0, 0, 0, right, 0, bottom});
}

FeedForwardImpl::FeedForwardImpl(int64_t in, int64_t hidden)
    : fc1(register_module("fc1", torch::nn::Linear(in, hidden))),
      fc2(register_module("fc2", torch::nn::Linear(hidden, in))) {}

torch::Tensor FeedForwardImpl::forward(const torch::Tensor& x) {
  return fused_mlp(x, {fc1->weight, fc1->bias}, {fc2->weight, fc2->bias});
}

PatchProjectionImpl::PatchProjectionImpl(int64_t in_chans, int64_t dim, int64_t patch_size,
                                         Norm with_norm)
    : proj(register_module(
          "proj", torch::nn::Conv2d(
                      torch::nn::Conv2dOptions(in_chans, dim, patch_size).stride(patch_size)))) {
  if (with_norm == Norm::kLayerNorm) {
    norm = register_module("norm", layer_norm(dim));
  }
}

torch::Tensor PatchProjectionImpl::forward(const torch::Tensor& image) {
  const int64_t n = image.size(0), channels = image.size(1), p = proj->weight.size(2);
  const auto padded =
      torch::constant_pad_nd(image, {0, missing(image.size(3), p), 0, missing(image.size(2), p)});
  // A convolution whose patches do not overlap is a projection of the patches.
  const int64_t h = padded.size(2) / p, w = padded.size(3) / p;
  const auto patches = padded.reshape({n, channels, h, p, w, p})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({n, h, w, channels * p * p});
  const auto x = fused_linear(patches, proj->weight.flatten(1), proj->bias);
  return norm ? norm(x) : x;
}

void check_images(const torch::Tensor& images, const ModelSpec& spec, const char* model) {
  require(images.dim() == 4 && images.size(1) == spec.config.in_chans && images.size(2) > 0 &&
              images.size(3) > 0,
          ErrorCode::kInvalidArgument,
          "{} input is {}, must be N x {} x H x W with at least one pixel", model,
          to_string(Shape(images.sizes().begin(), images.sizes().end())), spec.config.in_chans);
}

}  // namespace asmlp::nn
