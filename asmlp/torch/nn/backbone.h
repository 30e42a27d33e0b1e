// AS-MLP as the backbone of detectors and segmentors: one normalized feature map per stage.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/torch/nn/blocks.h"

namespace asmlp::nn {

// AS-MLP without final norm, pooling and head. Of every stage it returns what the blocks give
// before the patch merging, through a GroupNorm of the stage's own; the next stage takes the map
// without that norm. (The class ASMLP of the authors' AS-MLP-Object-Detection and
// AS-MLP-Semantic-Segmentation.)
//
// Parameter names are the classifier's (model/params.h) without "norm" and "head", and norm0.*,
// norm1.*, ... for the outputs.
class BackboneImpl : public torch::nn::Module {
 public:
  // Initialized as the authors' modules are: PyTorch's defaults for convolutions and norms.
  // config.num_classes has no meaning here. Error(kInvalidArgument) for a wrong config.
  explicit BackboneImpl(const Config& config);

  // Images N x in_chans x H x W, normalized, any H, W >= 1, to config.num_stages() maps: map k is
  // N x dim(k) x h x w, a view of channels-last memory, with h = ceil(H / patch_size / 2^k) rounded
  // up at every step (stage_sizes of model/config.h). Strides 4, 8, 16, 32 as published.
  //
  // The norms take their statistics over the whole map: padding changes every output.
  std::vector<torch::Tensor> forward(const torch::Tensor& images);

  // Every block is computed again in the backward pass (checkpoint.h).
  void set_checkpointing(bool on);

  const Config& config() const { return config_; }

 private:
  Config config_;
  PatchEmbed patch_embed_{nullptr};
  torch::nn::ModuleList layers_{nullptr};    // of Stage
  std::vector<torch::nn::GroupNorm> norms_;  // one per stage
};
TORCH_MODULE(Backbone);

}  // namespace asmlp::nn
