// What the compared models (swin.h, mlp_mixer.h, res_mlp.h, token_mixers.h) have in common.
// Activations are N x h x w x C: every projection is then one matrix product over all tokens.
#pragma once

#include <torch/torch.h>

#include <string>

#include "asmlp/model/baselines/checks.h"
#include "asmlp/torch/kernels/kernels.h"

namespace asmlp::nn {

// activation(linear(x)) by functional.h.
torch::Tensor project(const torch::Tensor& x, const torch::nn::Linear& linear,
                      Activation activation = Activation::kNone);

// LayerNorm over the last dimension of `dim` channels; PyTorch's eps is Swin's.
torch::nn::LayerNorm layer_norm(int64_t dim, double eps = 1e-5);

// N x h x w x C to linear over the h * w positions of every channel; the map must have as many
// positions as `linear` has inputs.
torch::Tensor mix_positions(const torch::Tensor& x, const torch::nn::Linear& linear,
                            Activation activation = Activation::kNone);

// x + branch; in training whole samples of the branch are dropped with probability `drop_path` and
// the others scaled by 1 / (1 - drop_path).
torch::Tensor add_branch(const torch::Tensor& x, const torch::Tensor& branch, double drop_path,
                         bool training);

// timm's trunc_normal_(std = 0.02), which cuts at +-2 absolute: a hundred standard deviations.
void truncated_normal(const torch::Tensor& tensor);

// LeCun normal of the patch projections: variance 1 / inputs, cut at two deviations (and widened so
// that the variance holds), as Flax and timm have it.
void lecun_normal(const torch::Tensor& weight);

// Zeros that complete `size` to a multiple.
inline int64_t missing(int64_t size, int64_t multiple) {
  return (multiple - size % multiple) % multiple;
}

// Zero-pads the map right and bottom to multiples of `multiple`.
torch::Tensor pad_map(const torch::Tensor& x, int64_t multiple);

// fc2(GELU(fc1(x))) on the last dimension.
class FeedForwardImpl : public torch::nn::Module {
 public:
  FeedForwardImpl(int64_t in, int64_t hidden);
  torch::Tensor forward(const torch::Tensor& x);

  torch::nn::Linear fc1, fc2;
};
TORCH_MODULE(FeedForward);

// "proj": patches of p x p pixels to `dim` channels; images are zero-padded right and bottom to a
// multiple of p. "norm" (LayerNorm) after it where wanted.
class PatchProjectionImpl : public torch::nn::Module {
 public:
  enum class Norm { kNone, kLayerNorm };
  PatchProjectionImpl(int64_t in_chans, int64_t dim, int64_t patch_size, Norm norm);
  torch::Tensor forward(const torch::Tensor& image);  // N x C x H x W to N x h x w x dim

  torch::nn::Conv2d proj;
  torch::nn::LayerNorm norm{nullptr};
};
TORCH_MODULE(PatchProjection);

// Error(kInvalidArgument) unless images are N x spec.config.in_chans x H x W with a pixel; `model`
// is the family's name in the message.
void check_images(const torch::Tensor& images, const ModelSpec& spec, const char* model);

}  // namespace asmlp::nn
