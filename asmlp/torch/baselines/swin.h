// Swin Transformer (Liu et al., "Hierarchical Vision Transformer using Shifted Windows", ICCV
// 2021): what AS-MLP takes its skeleton from and is compared with. Parameter names are those of the
// official state dict.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/baselines/baselines.h"
#include "asmlp/torch/baselines/layers.h"
#include "asmlp/torch/baselines/swin_window.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::nn {

// x + drop_path(attention(norm1(x))), then x + drop_path(mlp(norm2(x))). The attention works in
// windows of the map, which is zero-padded right and bottom to whole windows (as the authors'
// detection code does it); where shift > 0 the map is rolled by it first and back afterwards.
class SwinBlockImpl : public torch::nn::Module {
 public:
  SwinBlockImpl(int64_t dim, int64_t heads, int64_t window, int64_t shift, int64_t hidden,
                double drop_path);
  torch::Tensor forward(const torch::Tensor& x);  // N x h x w x dim

 private:
  torch::Tensor attend(const torch::Tensor& x);
  const torch::Tensor& mask_for(int64_t h, int64_t w, const torch::Device& device);

  int64_t window_, shift_;
  double drop_path_;
  torch::nn::LayerNorm norm1_;
  WindowAttention attn_;
  torch::nn::LayerNorm norm2_;
  FeedForward mlp_;
  torch::Tensor mask_;  // of the size seen last
  int64_t mask_h_ = 0, mask_w_ = 0;
};
TORCH_MODULE(SwinBlock);

// The 2 x 2 neighbors side by side, LayerNorm, projection 4C -> 2C; odd maps are zero-padded.
class SwinMergingImpl : public torch::nn::Module {
 public:
  explicit SwinMergingImpl(int64_t dim);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  torch::nn::Linear reduction_;
  torch::nn::LayerNorm norm_;
};
TORCH_MODULE(SwinMerging);

class SwinStageImpl : public torch::nn::Module {
 public:
  // drop_path: one rate per block. The last stage has no merging.
  SwinStageImpl(const SwinConfig& swin, int stage, int64_t map_side,
                const std::vector<double>& drop_path);
  torch::Tensor forward(torch::Tensor x);

 private:
  torch::nn::ModuleList blocks_;
  SwinMerging downsample_{nullptr};
};
TORCH_MODULE(SwinStage);

// Any image size H, W >= 1. spec.preprocessing.size decides the windows: where the map of a stage
// is no larger than window_size at that size, its windows are the whole map and are not shifted.
class SwinImpl : public ClassifierImpl {
 public:
  // Initialized as the authors do it: truncated normal 0.02 for linear layers and bias tables,
  // biases 0, norms (1, 0); the patch projection as PyTorch initializes convolutions. Drop path
  // rates grow linearly from 0 to spec.config.drop_path.
  SwinImpl(const ModelSpec& spec, const SwinConfig& swin);
  torch::Tensor forward(const torch::Tensor& images) override;

  // Element 0: the patch embedding; element k: the output of stage k-1 with its merging, N x h x w
  // x C.
  std::vector<torch::Tensor> forward_features(const torch::Tensor& images);

 private:
  ModelSpec spec_;
  PatchProjection patch_embed_;
  torch::nn::ModuleList layers_;  // of SwinStage
  torch::nn::LayerNorm norm_;
  torch::nn::Linear head_{nullptr};  // absent without classes
};
TORCH_MODULE(Swin);

void validate(const ModelSpec& spec, const SwinConfig& swin);
Classifier make_classifier(const ModelSpec& spec, const SwinConfig& swin);

// Per block of C channels, H hidden, windows of s x s: 12 C^2-like linear layers with biases, two
// norms, (2s - 1)^2 x heads biases of the relative position.
int64_t parameter_count(const ModelSpec& spec, const SwinConfig& swin);

// The authors' flops(): per block, on maps of T tokens in W windows of S = s^2 tokens,
//   2 T C (norms) + W (3 S C^2 + 2 S^2 C + S C^2) + 2 T C H (MLP);
// merging T C + (T / 4) (4 C) (2 C); patch embedding T C p^2 in_chans (+ T C norm); the last norm
// on T_0 / 2^stages tokens (their integer division; really T_0 / 4^(stages - 1)); head. Padded
// tokens are counted where they are computed.
int64_t multiply_adds(const ModelSpec& spec, const SwinConfig& swin, int h, int w);

}  // namespace asmlp::nn
