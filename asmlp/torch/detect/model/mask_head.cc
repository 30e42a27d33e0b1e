#include "asmlp/torch/detect/model/mask_head.h"

#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::detect {

using torch::nn::Conv2d, torch::nn::Conv2dOptions;
using torch::nn::ConvTranspose2d, torch::nn::ConvTranspose2dOptions;

MaskHeadImpl::MaskHeadImpl(const MaskHeadConfig& config, int in_channels, int num_classes)
    : convs_(register_module("convs", torch::nn::ModuleList())),
      upsample_(register_module(
          "upsample",
          ConvTranspose2d(ConvTranspose2dOptions(config.channels, config.channels, 2).stride(2)))),
      conv_logits_(
          register_module("conv_logits", Conv2d(Conv2dOptions(config.channels, num_classes, 1)))) {
  int channels = in_channels;
  for (int i = 0; i < config.convs; ++i) {
    convs_->push_back(nn::ConvModule(channels, config.channels, 3, nn::AfterConv::kRelu));
    channels = config.channels;
  }
  nn::init_kaiming(upsample_);
  nn::init_kaiming(conv_logits_);
}

// What upsample_, a transposed convolution of 2 x 2 with stride 2, computes: every cell becomes
// four of its own, so it is one matrix product. (LibTorch's goes image by image through columns.)
torch::Tensor MaskHeadImpl::upsampled(const torch::Tensor& x) {
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3), out = upsample_->weight.size(1);
  const auto weight = upsample_->weight.permute({0, 2, 3, 1}).reshape({-1, 4 * out});
  const auto cells = torch::matmul(x.permute({0, 2, 3, 1}).reshape({n * h * w, x.size(1)}), weight);
  return cells.view({n, h, w, 2, 2, out})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({n, 2 * h, 2 * w, out})
      .add(upsample_->bias)
      .permute({0, 3, 1, 2});
}

torch::Tensor MaskHeadImpl::forward(const torch::Tensor& pooled) {
  auto x = pooled;
  for (const auto& conv : *convs_) x = conv->as<nn::ConvModule>()->forward(x);
  return conv_logits_(torch::relu(upsampled(x)));
}

}  // namespace asmlp::detect
