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

torch::Tensor MaskHeadImpl::forward(const torch::Tensor& pooled) {
  auto x = pooled;
  for (const auto& conv : *convs_) x = conv->as<nn::ConvModule>()->forward(x);
  return nn::upsampled_conv(x, upsample_->weight, upsample_->bias, conv_logits_->weight,
                            conv_logits_->bias);
}

}  // namespace asmlp::detect
