#include "asmlp/torch/segment/fcn_head.h"

#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::segment {

FcnHeadImpl::FcnHeadImpl(const FcnHeadConfig& config, int in_channels, int num_classes)
    : dropout_(config.dropout),
      conv_seg_(register_module("conv_seg", torch::nn::Conv2d(torch::nn::Conv2dOptions(
                                                config.channels, num_classes, 1)))),
      convs_(register_module("convs", torch::nn::ModuleList())) {
  int channels = in_channels;
  for (int i = 0; i < config.convs; ++i) {
    convs_->push_back(nn::ConvModule(channels, config.channels, 3, nn::AfterConv::kBatchNormRelu));
    channels = config.channels;
  }
  nn::init_normal(conv_seg_, 0.01);
}

torch::Tensor FcnHeadImpl::forward(const torch::Tensor& map) {
  auto x = map;
  for (const auto& conv : *convs_) x = conv->as<nn::ConvModule>()->forward(x);
  return nn::convolve(torch::feature_dropout(x, dropout_, is_training()), conv_seg_);
}

}  // namespace asmlp::segment
