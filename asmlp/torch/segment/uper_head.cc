#include "asmlp/torch/segment/uper_head.h"

#include "asmlp/core/error.h"

namespace asmlp::segment {

using nn::AfterConv, nn::ConvModule, nn::ConvModuleImpl;

torch::Tensor resize_like(const torch::Tensor& x, const torch::Tensor& like) {
  const auto size = like.sizes().slice(2);
  return x.sizes().slice(2) == size ? x : torch::upsample_bilinear2d(x, size, false);
}

PoolBranchImpl::PoolBranchImpl(int in_channels, int channels, int scale)
    : scale_(scale),
      conv_(register_module("1", ConvModule(in_channels, channels, 1, AfterConv::kBatchNormRelu))) {
}

torch::Tensor PoolBranchImpl::forward(const torch::Tensor& x) {
  return conv_(torch::adaptive_avg_pool2d(x, {scale_, scale_}));
}

UperHeadImpl::UperHeadImpl(const UperHeadConfig& config, const std::vector<int>& in_channels,
                           int num_classes)
    : dropout_(config.dropout),
      conv_seg_(register_module("conv_seg", torch::nn::Conv2d(torch::nn::Conv2dOptions(
                                                config.channels, num_classes, 1)))),
      psp_modules_(register_module("psp_modules", torch::nn::ModuleList())),
      bottleneck_(register_module(
          "bottleneck",
          ConvModule(
              in_channels.back() + static_cast<int>(config.pool_scales.size()) * config.channels,
              config.channels, 3, AfterConv::kBatchNormRelu))),
      lateral_convs_(register_module("lateral_convs", torch::nn::ModuleList())),
      fpn_convs_(register_module("fpn_convs", torch::nn::ModuleList())),
      fpn_bottleneck_(register_module(
          "fpn_bottleneck", ConvModule(static_cast<int>(in_channels.size()) * config.channels,
                                       config.channels, 3, AfterConv::kBatchNormRelu))) {
  const int channels = config.channels;
  for (const int scale : config.pool_scales) {
    psp_modules_->push_back(PoolBranch(in_channels.back(), channels, scale));
  }
  for (size_t k = 0; k + 1 < in_channels.size(); ++k) {
    lateral_convs_->push_back(ConvModule(in_channels[k], channels, 1, AfterConv::kBatchNormRelu));
    fpn_convs_->push_back(ConvModule(channels, channels, 3, AfterConv::kBatchNormRelu));
  }
  nn::init_normal(conv_seg_, 0.01);
}

torch::Tensor UperHeadImpl::pyramid_pooling(const torch::Tensor& coarsest) {
  std::vector<torch::Tensor> parts{coarsest};
  for (const auto& branch : *psp_modules_) {
    parts.push_back(branch->as<PoolBranch>()->forward(coarsest));
  }
  return bottleneck_->forward_levels(parts);
}

torch::Tensor UperHeadImpl::forward(const std::vector<torch::Tensor>& maps) {
  require(maps.size() == lateral_convs_->size() + 1, ErrorCode::kInvalidArgument,
          "decode head: {} maps, must be {}", maps.size(), lateral_convs_->size() + 1);
  std::vector<torch::Tensor> levels(maps.size());
  torch::Tensor sum = pyramid_pooling(maps.back());
  levels.back() = sum;
  for (size_t k = maps.size() - 1; k-- > 0;) {
    const auto lateral = lateral_convs_->at<ConvModuleImpl>(k).forward(maps[k]);
    sum = lateral + resize_like(sum, lateral);
    levels[k] = fpn_convs_->at<ConvModuleImpl>(k).forward(sum);
  }
  const auto x = fpn_bottleneck_->forward_levels(levels);
  return nn::convolve(torch::feature_dropout(x, dropout_, is_training()), conv_seg_);
}

}  // namespace asmlp::segment
