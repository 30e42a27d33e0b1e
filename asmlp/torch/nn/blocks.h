// The building blocks of AS-MLP as LibTorch modules. Sub-modules are registered under the official
// names and in the official order. Feature maps are N x H x W x C inside the network: every
// projection is then one matrix product over all pixels.
#pragma once

#include <torch/torch.h>

#include <utility>
#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {

// The parameters of a GroupNorm with one group and of a 1 x 1 convolution, under the names and with
// the initialization of PyTorch's modules; functional.h computes with them.
torch::nn::GroupNorm make_norm(int channels);
torch::nn::Conv2d make_pointwise(int in, int out, bool bias = true);

// Stochastic depth: in training, whole samples are dropped with probability `rate` and the others
// scaled by 1 / (1 - rate).
torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training);

// The factor of every sample that stands for drop_path: 0 or 1 / (1 - rate); undefined where
// drop_path would return x itself.
torch::Tensor drop_path_scale(const torch::Tensor& x, double rate, bool training);

// conv1, norm1, GELU, then the two shifted projections, norm2, conv3 (paper, figure 2).
class AxialShiftBlockImpl : public torch::nn::Module {
 public:
  AxialShiftBlockImpl(const Config& config, int dim);
  torch::Tensor forward(torch::Tensor x);
  // x + scale * forward(norm(x)); `scale` is that of fused_add.
  FeatureMap add_to(const FeatureMap& x, const torch::nn::GroupNorm& norm,
                    const torch::Tensor& scale);

 private:
  AxialShift along_w() const;
  AxialShift along_h() const;

  Config config_;
  torch::nn::Conv2d conv1_, conv2_1_, conv2_2_, conv3_;
  torch::nn::GroupNorm norm1_, norm2_;
};
TORCH_MODULE(AxialShiftBlock);

// fc2(GELU(fc1(x))).
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(int dim, int hidden);
  torch::Tensor forward(const torch::Tensor& x);
  // x + scale * forward(norm(x)).
  FeatureMap add_to(const FeatureMap& x, const torch::nn::GroupNorm& norm,
                    const torch::Tensor& scale);

 private:
  torch::nn::Conv2d fc1_, fc2_;
};
TORCH_MODULE(Mlp);

// x + drop_path(axial_shift(norm1(x))), then x + drop_path(mlp(norm2(x))).
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(const Config& config, int stage, double drop_path);
  FeatureMap forward(const FeatureMap& x);

 private:
  double drop_path_;
  torch::nn::GroupNorm norm1_;
  AxialShiftBlock axial_shift_;
  torch::nn::GroupNorm norm2_;
  Mlp mlp_;
};
TORCH_MODULE(Block);

// The image as a map of C channels with a pixel per p x p (Config::stem). Patches: the image is
// zero-padded right and bottom to a multiple of p. Convolutions: halved until it is so small, zeros
// around.
class PatchEmbedImpl : public torch::nn::Module {
 public:
  explicit PatchEmbedImpl(const Config& config);
  torch::Tensor forward(const torch::Tensor& image);

 private:
  torch::Tensor project_patches(const torch::Tensor& image) const;
  torch::Tensor convolve(const torch::Tensor& image) const;

  Config config_;
  std::vector<std::pair<torch::nn::Conv2d, torch::nn::GroupNorm>> stem_;  // before proj
  torch::nn::Conv2d proj_{nullptr};
  torch::nn::GroupNorm norm_{nullptr};  // absent without config.patch_norm
};
TORCH_MODULE(PatchEmbed);

// A map of half the sides and 2C channels (Config::downsample). Merging: the 2 x 2 neighbors side
// by side on the channels, norm, projection 4C -> 2C; odd maps are zero-padded right and bottom.
// Convolution: norm, 3 x 3 with stride 2.
class PatchMergingImpl : public torch::nn::Module {
 public:
  PatchMergingImpl(const Config& config, int stage);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  Downsample downsample_;
  torch::nn::Conv2d reduction_;
  torch::nn::GroupNorm norm_;
};
TORCH_MODULE(PatchMerging);

// The blocks of one stage, then the patch merging unless it is the last stage.
class StageImpl : public torch::nn::Module {
 public:
  // `first_block` counts the blocks of the stages before: the drop path rate grows linearly from 0
  // at the model's first block to config.drop_path at its last.
  StageImpl(const Config& config, int stage, int first_block);
  torch::Tensor forward(const torch::Tensor& x) { return merge(run_blocks(x)); }
  // The two halves: the blocks alone, and the patch merging alone (x itself in the last stage).
  torch::Tensor run_blocks(torch::Tensor x);
  torch::Tensor merge(const torch::Tensor& x);
  // Whether backward computes the blocks again instead of keeping what they need (checkpoint.h).
  void set_checkpointing(bool on) { checkpointing_ = on; }

 private:
  bool checkpointing_ = false;
  torch::nn::ModuleList blocks_;
  PatchMerging downsample_{nullptr};
};
TORCH_MODULE(Stage);

}  // namespace asmlp::nn
