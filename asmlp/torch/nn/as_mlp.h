// AS-MLP as LibTorch modules. Parameter names equal model/params.h, so state dicts, checkpoints and
// the native engine's weights are the same thing.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"
#include "asmlp/torch/nn/blocks.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::nn {

// The whole network. Input N x in_chans x H x W fp32, normalized; any H, W >= 1: the patch
// embedding zero-pads right and bottom to the patch size, the patch merging zero-pads odd maps.
class AsMlpImpl : public ClassifierImpl {
 public:
  // Parameters are initialized as the authors' module does it: PyTorch's defaults for the
  // convolutions (Kaiming uniform, a = sqrt 5) and norms (1, 0), head truncated normal 0.02, bias
  // 0.
  explicit AsMlpImpl(const Config& config);

  // Logits N x num_classes; the pooled features N x num_features for a model without head.
  torch::Tensor forward(const torch::Tensor& input) override;

  // Every block of the stages is computed again in the backward pass (checkpoint.h).
  void set_checkpointing(bool on) override;

  // Element 0: the patch embedding after its norm; element k: the output of stage k-1 including its
  // patch merging. All N x C x h x w (views of channels-last memory).
  std::vector<torch::Tensor> forward_features(const torch::Tensor& input);

  // The final GroupNorm, average pooling and head on the last element of forward_features.
  torch::Tensor forward_head(const torch::Tensor& last_feature);

  const Config& config() const { return config_; }

 private:
  Config config_;
  PatchEmbed patch_embed_{nullptr};
  torch::nn::ModuleList layers_{nullptr};  // of Stage
  torch::nn::GroupNorm norm_{nullptr};
  torch::nn::Linear head_{nullptr};  // absent without classes
};
TORCH_MODULE(AsMlp);

// Copies tensors into the module's parameters by name. Error(kMismatch) unless the names and shapes
// are exactly the module's.
void load_parameters(torch::nn::Module& module, const TensorMap& tensors);

// The module's parameters as fp32 tensors on the CPU, by name (a copy).
TensorMap export_parameters(const torch::nn::Module& module);

}  // namespace asmlp::nn
