// AS-MLP's skeleton (patch embedding, GroupNorm, MLP, merging, head) around another way to mix
// tokens: the paper's global-MLP, axial-MLP and window-MLP baselines.
//
// The paper (section 4.1) names the three and compares them with the shift of 5 x 5 in the mobile
// model; it does not write them out. INFERRED here: the axial shift, which is a fixed linear map
// over positions, becomes a learned one with a bias, and all else of the block stays:
//   axial_shift  conv3(norm2(GELU(conv2_1(shift_w(x))) + GELU(conv2_2(shift_h(x)))))
//   axial_mlp    conv3(norm2(GELU(conv2_1(token_w(x))) + GELU(conv2_2(token_h(x)))))
//   global_mlp   conv3(norm2(GELU(conv2(token(x)))))
//   window_mlp   the same, token inside windows
// of x = GELU(norm1(conv1(input))). token is one linear layer over all h w positions of the map,
// token_w and token_h over the w (h) positions of a row (column), token of window_mlp over the 7 x
// 7 positions of a window; each is shared by all channels (and rows, columns, windows). With
// connection "serial" the second branch of axial_mlp takes the first one's output. Windows are not
// shifted: neighbors across a border meet after the next merging.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/baselines/baselines.h"
#include "asmlp/model/spec.h"
#include "asmlp/torch/nn/blocks.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::nn {

// What stands in the place of AxialShiftBlock, under the name "token_mixer".
class TokenMixerBlockImpl : public torch::nn::Module {
 public:
  // For maps of side x side tokens at the model's image size.
  TokenMixerBlockImpl(const Config& config, const TokenMixerConfig& mixer, int dim, int side);
  torch::Tensor forward(const torch::Tensor& x);  // N x h x w x dim

 private:
  torch::Tensor mix(const torch::Tensor& x);

  TokenMixer kind_;
  Connection connection_;
  int window_;
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, conv2_1_{nullptr}, conv2_2_{nullptr},
      conv3_{nullptr};
  torch::nn::Linear token_{nullptr}, token_w_{nullptr}, token_h_{nullptr};
  torch::nn::GroupNorm norm1_{nullptr}, norm2_{nullptr};
};
TORCH_MODULE(TokenMixerBlock);

// x + drop_path(token_mixer(norm1(x))), then x + drop_path(mlp(norm2(x))).
class MixedBlockImpl : public torch::nn::Module {
 public:
  MixedBlockImpl(const Config& config, const TokenMixerConfig& mixer, int stage, int side,
                 double drop_path);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  double drop_path_;
  torch::nn::GroupNorm norm1_;
  TokenMixerBlock token_mixer_;
  torch::nn::GroupNorm norm2_;
  Mlp mlp_;
};
TORCH_MODULE(MixedBlock);

// The blocks of one stage, then the patch merging unless it is the last stage.
class MixedStageImpl : public torch::nn::Module {
 public:
  MixedStageImpl(const Config& config, const TokenMixerConfig& mixer, int stage, int side,
                 int first_block);
  torch::Tensor forward(torch::Tensor x);

 private:
  torch::nn::ModuleList blocks_;
  PatchMerging downsample_{nullptr};
};
TORCH_MODULE(MixedStage);

// The whole network. global_mlp and axial_mlp take square images of spec.preprocessing.size pixels
// only (their weights belong to positions), window_mlp any size: maps are zero-padded right and
// bottom to whole windows, which are no larger than the map at that image size.
class MixedAsMlpImpl : public ClassifierImpl {
 public:
  MixedAsMlpImpl(const ModelSpec& spec, const TokenMixerConfig& mixer);
  torch::Tensor forward(const torch::Tensor& images) override;

 private:
  ModelSpec spec_;
  TokenMixer kind_;
  PatchEmbed patch_embed_;
  torch::nn::ModuleList layers_;  // of MixedStage
  torch::nn::GroupNorm norm_;
  torch::nn::Linear head_{nullptr};  // absent without classes
};
TORCH_MODULE(MixedAsMlp);

void validate(const ModelSpec& spec, const TokenMixerConfig& mixer);
Classifier make_classifier(const ModelSpec& spec, const TokenMixerConfig& mixer);

// AS-MLP's, and per block on a map of h x w tokens with C channels
//   axial_mlp   + w (w + 1) + h (h + 1)
//   global_mlp  + h w (h w + 1)  - C (C + 1), one of the two projections being left out
//   window_mlp  + s^2 (s^2 + 1)  - C (C + 1)
int64_t parameter_count(const ModelSpec& spec, const TokenMixerConfig& mixer);

// AS-MLP's, and per block on T = h w tokens
//   axial_mlp   + T C (h + w), - T C with the serial connection (no sum of branches)
//   global_mlp  + T C T               - T C (C + 1)
//   window_mlp  + windows s^4 C       - T C (C + 1)
int64_t multiply_adds(const ModelSpec& spec, const TokenMixerConfig& mixer, int h, int w);

}  // namespace asmlp::nn
