// The mask of a region from its pooled features (He et al., ICCV 2017).
#pragma once

#include <torch/torch.h>

#include "asmlp/model/detector_config.h"

namespace asmlp::detect {

// Names convs.k.conv (3 x 3, ReLU), upsample (transposed 2 x 2 of stride 2, ReLU), conv_logits (1 x
// 1); Kaiming normal (fan out), biases 0.
class MaskHeadImpl : public torch::nn::Module {
 public:
  MaskHeadImpl(const MaskHeadConfig& config, int in_channels, int num_classes);

  // Pooled features N x in_channels x s x s (N may be 0) to logits N x num_classes x 2s x 2s.
  torch::Tensor forward(const torch::Tensor& pooled);

 private:
  torch::nn::ModuleList convs_;  // of ConvModule
  torch::nn::ConvTranspose2d upsample_;
  torch::nn::Conv2d conv_logits_;
};
TORCH_MODULE(MaskHead);

}  // namespace asmlp::detect
