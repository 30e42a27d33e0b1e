#include "asmlp/torch/detect/model/box_head.h"

#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::detect {

using torch::nn::Linear;

BoxHeadImpl::BoxHeadImpl(const BoxHeadConfig& config, int in_channels, int size, int num_classes)
    : shared_fcs_(register_module("shared_fcs", torch::nn::ModuleList())),
      fc_cls_(register_module("fc_cls", Linear(config.fc_channels, num_classes + 1))),
      fc_reg_(register_module("fc_reg", Linear(config.fc_channels, 4 * num_classes))) {
  int channels = in_channels;
  if (config.convs > 0) {
    shared_convs_ = register_module("shared_convs", torch::nn::ModuleList());
    for (int i = 0; i < config.convs; ++i) {
      shared_convs_->push_back(
          nn::ConvModule(channels, config.conv_channels, 3, nn::AfterConv::kBatchNormRelu));
      channels = config.conv_channels;
    }
  }
  int64_t features = int64_t{channels} * size * size;
  for (int i = 0; i < config.fcs; ++i) {
    const Linear fc(features, config.fc_channels);
    nn::init_xavier(fc);
    shared_fcs_->push_back(fc);
    features = config.fc_channels;
  }
  nn::init_normal(fc_cls_, 0.01);
  nn::init_normal(fc_reg_, 0.001);
}

BoxOutput BoxHeadImpl::forward(const torch::Tensor& pooled) {
  auto x = pooled;
  if (shared_convs_) {
    for (const auto& conv : *shared_convs_) x = conv->as<nn::ConvModule>()->forward(x);
  }
  x = x.flatten(1);  // channel, row, column
  const auto layer = [](const torch::Tensor& values, const torch::nn::LinearImpl& fc,
                        nn::AfterSum after) {
    return nn::fused_dense(values, fc.weight, fc.bias, after);
  };
  for (const auto& fc : *shared_fcs_) x = layer(x, *fc->as<Linear>(), nn::AfterSum::kRelu);
  return {layer(x, *fc_cls_, nn::AfterSum::kNothing), layer(x, *fc_reg_, nn::AfterSum::kNothing)};
}

}  // namespace asmlp::detect
