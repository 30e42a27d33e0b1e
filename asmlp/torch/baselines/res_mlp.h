// ResMLP (Touvron et al., "Feedforward networks for image classification with data-efficient
// training", 2021). Parameter names are timm's.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/baselines/baselines.h"
#include "asmlp/torch/baselines/layers.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::nn {

// alpha * x + beta per channel: what ResMLP has instead of a norm. Both are 1 x 1 x dim.
class AffineImpl : public torch::nn::Module {
 public:
  explicit AffineImpl(int64_t dim);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::Tensor alpha_, beta_;
};
TORCH_MODULE(Affine);

// x + drop_path(ls1 * (linear_tokens over the positions of norm1(x))), then
// x + drop_path(ls2 * mlp_channels(norm2(x))).
class ResMlpBlockImpl : public torch::nn::Module {
 public:
  ResMlpBlockImpl(int64_t tokens, const ResMlpConfig& res_mlp, double drop_path);
  torch::Tensor forward(const torch::Tensor& x);  // N x h x w x embed_dim with h * w tokens

 private:
  double drop_path_;
  torch::Tensor ls1_, ls2_;  // one scale per channel
  Affine norm1_;
  torch::nn::Linear linear_tokens_;
  Affine norm2_;
  FeedForward mlp_channels_;
};
TORCH_MODULE(ResMlpBlock);

// Square images of spec.preprocessing.size pixels only: a weight per pair of positions.
class ResMlpImpl : public ClassifierImpl {
 public:
  // Initialized as in timm: Xavier uniform linear layers (biases 0, of 1e-6 deviation in the MLPs),
  // LeCun normal stem, affines (1, 0), a head of zeros. One drop path rate for all blocks.
  ResMlpImpl(const ModelSpec& spec, const ResMlpConfig& res_mlp);
  torch::Tensor forward(const torch::Tensor& images) override;

 private:
  ModelSpec spec_;
  PatchProjection stem_;
  torch::nn::ModuleList blocks_;  // of ResMlpBlock
  Affine norm_;
  torch::nn::Linear head_{nullptr};  // absent without classes
};
TORCH_MODULE(ResMlp);

void validate(const ModelSpec& spec, const ResMlpConfig& res_mlp);
Classifier make_classifier(const ModelSpec& spec, const ResMlpConfig& res_mlp);
int64_t parameter_count(const ModelSpec& spec, const ResMlpConfig& res_mlp);

// With T tokens of C channels and hidden width D: stem T C p^2 in_chans; per block 4 T C (affines
// and layer scales) + C T^2 + 2 T C D; the last affine T C; head.
int64_t multiply_adds(const ModelSpec& spec, const ResMlpConfig& res_mlp, int h, int w);

}  // namespace asmlp::nn
