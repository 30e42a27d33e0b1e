// The convolutions of detection and segmentation heads, with what follows each of them.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/torch/nn/sync_batch_norm.h"
#include "asmlp/torch/ops/conv/conv.h"

namespace asmlp::nn {

enum class AfterConv {
  kNothing,        // convolution with bias
  kRelu,           // convolution with bias, ReLU
  kBatchNormRelu,  // convolution without bias, SyncBatchNorm2d, ReLU
};

// fused_conv (ops/conv/conv.h) with the weights of `conv`, which must have stride 1 and keep the
// size of the map.
inline torch::Tensor convolve(const torch::Tensor& x, const torch::nn::Conv2d& conv,
                              AfterSum after = AfterSum::kNothing) {
  return fused_conv(x, conv->weight, conv->bias, after);
}

// A k x k convolution of stride 1 and padding k / 2 (k odd: the map keeps its size) under the name
// "conv", the norm under "bn": the ConvModule of mmcv, whose initialization it has too (Kaiming
// normal for fan out and ReLU; biases 0).
class ConvModuleImpl : public torch::nn::Module {
 public:
  ConvModuleImpl(int in, int out, int kernel, AfterConv after);
  // N x in x h x w to N x out x h x w; N may be 0.
  torch::Tensor forward(const torch::Tensor& x);
  // The same of maps side by side, resized to the first one's height and width (conv_of_levels).
  torch::Tensor forward_levels(const std::vector<torch::Tensor>& levels);
  // See below; nothing to do without a norm.
  void fold_batch_norm();

  torch::nn::Conv2d conv;

 private:
  SyncBatchNorm2d bn_{nullptr};
  AfterConv after_;
};
TORCH_MODULE(ConvModule);

// For inference: every ConvModule of `net` takes its norm (of the running statistics) into the
// weights of its convolution, which gets a bias, and has none any more. The outputs are the same up
// to rounding. The net must be in evaluation mode, else Error(kInvalidArgument), and stay so; its
// state no longer has the names of its kind: do not save it.
void fold_batch_norm(torch::nn::Module& net);

// The initializations that the heads use, with biases set to 0. The module has `weight` and,
// perhaps, `bias`.
template <typename Layer>
void init_kaiming(Layer& layer) {
  torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
  if (layer->bias.defined()) torch::nn::init::zeros_(layer->bias);
}
template <typename Layer>
void init_xavier(Layer& layer) {
  torch::nn::init::xavier_uniform_(layer->weight);
  if (layer->bias.defined()) torch::nn::init::zeros_(layer->bias);
}
template <typename Layer>
void init_normal(Layer& layer, double std) {
  torch::nn::init::normal_(layer->weight, 0, std);
  if (layer->bias.defined()) torch::nn::init::zeros_(layer->bias);
}

}  // namespace asmlp::nn
