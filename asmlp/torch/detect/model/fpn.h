// Feature Pyramid Network (Lin et al., CVPR 2017) as mmdet's FPN.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::detect {

// Names lateral_convs.k.conv (1 x 1) and fpn_convs.k.conv (3 x 3), both with bias and without norm
// or activation; Xavier uniform, biases 0.
class FpnImpl : public torch::nn::Module {
 public:
  // `in_channels` of the backbone's maps, finest first; `levels` >= that many maps come out.
  FpnImpl(const std::vector<int>& in_channels, int channels, int levels);

  // Maps N x in_channels[k] x h_k x w_k to `levels` maps of `channels`: top-down, the coarser sum
  // is resized (nearest) to the exact size of the finer map and added; the levels beyond the given
  // maps are every second row and column of the one before, ceil(h / 2) x ceil(w / 2).
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& maps);

 private:
  size_t levels_;
  torch::nn::ModuleList lateral_convs_, fpn_convs_;  // of ConvModule
};
TORCH_MODULE(Fpn);

}  // namespace asmlp::detect
