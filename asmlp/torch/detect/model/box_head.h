// Class and box of a region from its pooled features.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/detector_config.h"

namespace asmlp::detect {

struct BoxOutput {
  torch::Tensor logits;  // N x (num_classes + 1), the background last
  torch::Tensor deltas;  // N x 4 num_classes: 4 class + {dx, dy, dw, dh}
};

// Mask R-CNN's head of two shared linear layers and Cascade's of four convolutions and one linear
// layer are the same module: names shared_convs.k.{conv,bn}, shared_fcs.k, fc_cls, fc_reg.
// Convolutions are initialized by Kaiming normal (fan out), shared linear layers by Xavier uniform,
// fc_cls and fc_reg by normal with std 0.01 and 0.001; biases 0.
class BoxHeadImpl : public torch::nn::Module {
 public:
  // `size` bins per side of the pooled features.
  BoxHeadImpl(const BoxHeadConfig& config, int in_channels, int size, int num_classes);

  // Pooled features N x in_channels x size x size; N may be 0 in evaluation.
  BoxOutput forward(const torch::Tensor& pooled);

 private:
  torch::nn::ModuleList shared_convs_{nullptr};  // of ConvModule; absent without convolutions
  torch::nn::ModuleList shared_fcs_;             // of Linear
  torch::nn::Linear fc_cls_, fc_reg_;
};
TORCH_MODULE(BoxHead);

}  // namespace asmlp::detect
