// The auxiliary head of segmentors: mmseg's FCNHead without its concatenation.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/segmentor_config.h"

namespace asmlp::segment {

// Names convs.k (3 x 3, batch norm over all processes, ReLU; .conv and .bn) and conv_seg (1 x 1);
// initialized as UperHead.
class FcnHeadImpl : public torch::nn::Module {
 public:
  FcnHeadImpl(const FcnHeadConfig& config, int in_channels, int num_classes);
  // The map of one stage, N x in_channels x h x w, to logits N x num_classes x h x w.
  torch::Tensor forward(const torch::Tensor& map);

 private:
  double dropout_;
  torch::nn::Conv2d conv_seg_;
  torch::nn::ModuleList convs_;  // of ConvModule
};
TORCH_MODULE(FcnHead);

}  // namespace asmlp::segment
