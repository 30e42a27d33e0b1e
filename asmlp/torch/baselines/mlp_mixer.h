// MLP-Mixer (Tolstikhin et al., "An all-MLP Architecture for Vision", NeurIPS 2021). Parameter
// names are timm's.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/baselines/baselines.h"
#include "asmlp/torch/baselines/layers.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::nn {

// x + drop_path(mlp_tokens over the positions of norm1(x)), then x + drop_path(mlp_channels(
// norm2(x))). LayerNorm's eps is 1e-6, as in the authors' code.
class MixerBlockImpl : public torch::nn::Module {
 public:
  MixerBlockImpl(int64_t tokens, const MlpMixerConfig& mixer, double drop_path);
  torch::Tensor forward(const torch::Tensor& x);  // N x h x w x embed_dim with h * w tokens

 private:
  double drop_path_;
  torch::nn::LayerNorm norm1_;
  FeedForward mlp_tokens_;
  torch::nn::LayerNorm norm2_;
  FeedForward mlp_channels_;
};
TORCH_MODULE(MixerBlock);

// Square images of spec.preprocessing.size pixels only: the token MLP has a weight per position.
class MlpMixerImpl : public ClassifierImpl {
 public:
  // Initialized as in timm: Xavier uniform with biases of 1e-6 deviation in the blocks, LeCun
  // normal for the stem, a head of zeros. The drop path rate is the same in all blocks.
  MlpMixerImpl(const ModelSpec& spec, const MlpMixerConfig& mixer);
  torch::Tensor forward(const torch::Tensor& images) override;

 private:
  ModelSpec spec_;
  PatchProjection stem_;
  torch::nn::ModuleList blocks_;  // of MixerBlock
  torch::nn::LayerNorm norm_;
  torch::nn::Linear head_{nullptr};  // absent without classes
};
TORCH_MODULE(MlpMixer);

void validate(const ModelSpec& spec, const MlpMixerConfig& mixer);
Classifier make_classifier(const ModelSpec& spec, const MlpMixerConfig& mixer);
int64_t parameter_count(const ModelSpec& spec, const MlpMixerConfig& mixer);

// With T tokens of C channels and hidden widths D_t, D_c: stem T C p^2 in_chans; per block 2 T C
// (norms) + 2 C T D_t + 2 T C D_c; the last norm T C; head.
int64_t multiply_adds(const ModelSpec& spec, const MlpMixerConfig& mixer, int h, int w);

}  // namespace asmlp::nn
