// UPerNet's decode head (Xiao et al., ECCV 2018) as mmseg's UPerHead.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/segmentor_config.h"
#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::segment {

// x resized to the height and width of `like`, bilinear, corners not aligned: every resizing of the
// segmentors.
torch::Tensor resize_like(const torch::Tensor& x, const torch::Tensor& like);

// One scale of the pyramid pooling: average pooling to scale x scale bins, then the convolution
// under the name "1".
class PoolBranchImpl : public torch::nn::Module {
 public:
  PoolBranchImpl(int in_channels, int channels, int scale);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  int64_t scale_;
  nn::ConvModule conv_;
};
TORCH_MODULE(PoolBranch);

// Every convolution but the last is followed by batch norm (over all processes) and ReLU. Names:
// psp_modules.k.1, bottleneck, lateral_convs.k, fpn_convs.k, fpn_bottleneck (each .conv and .bn)
// and conv_seg. conv_seg is initialized by normal with std 0.01, the others by Kaiming normal;
// biases 0.
class UperHeadImpl : public torch::nn::Module {
 public:
  // `in_channels` of the backbone's maps, finest first.
  UperHeadImpl(const UperHeadConfig& config, const std::vector<int>& in_channels, int num_classes);

  // Maps N x in_channels[k] x h_k x w_k to logits N x num_classes x h_0 x w_0. In training, N or
  // the number of processes must be 2 at least: with pool scale 1 the norm sees N values.
  torch::Tensor forward(const std::vector<torch::Tensor>& maps);

 private:
  torch::Tensor pyramid_pooling(const torch::Tensor& coarsest);

  double dropout_;
  torch::nn::Conv2d conv_seg_;
  torch::nn::ModuleList psp_modules_;  // of PoolBranch
  nn::ConvModule bottleneck_;
  torch::nn::ModuleList lateral_convs_, fpn_convs_;  // of ConvModule, for all maps but the coarsest
  nn::ConvModule fpn_bottleneck_;
};
TORCH_MODULE(UperHead);

}  // namespace asmlp::segment
