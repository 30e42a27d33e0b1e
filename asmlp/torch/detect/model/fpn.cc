#include "asmlp/torch/detect/model/fpn.h"

#include "asmlp/core/error.h"

namespace asmlp::detect {

using nn::ConvModule, nn::ConvModuleImpl;

FpnImpl::FpnImpl(const std::vector<int>& in_channels, int channels, int levels)
    : levels_(static_cast<size_t>(levels)),
      lateral_convs_(register_module("lateral_convs", torch::nn::ModuleList())),
      fpn_convs_(register_module("fpn_convs", torch::nn::ModuleList())) {
  require(!in_channels.empty() && levels_ >= in_channels.size(), ErrorCode::kInvalidArgument,
          "feature pyramid: {} levels of {} maps", levels, in_channels.size());
  for (const int in : in_channels) {
    const ConvModule lateral(in, channels, 1, nn::AfterConv::kNothing);
    const ConvModule output(channels, channels, 3, nn::AfterConv::kNothing);
    nn::init_xavier(lateral->conv);
    nn::init_xavier(output->conv);
    lateral_convs_->push_back(lateral);
    fpn_convs_->push_back(output);
  }
}

std::vector<torch::Tensor> FpnImpl::forward(const std::vector<torch::Tensor>& maps) {
  require(maps.size() == lateral_convs_->size(), ErrorCode::kInvalidArgument,
          "feature pyramid: {} maps, must be {}", maps.size(), lateral_convs_->size());
  std::vector<torch::Tensor> outputs(levels_);
  torch::Tensor sum;
  for (size_t k = maps.size(); k-- > 0;) {
    auto lateral = lateral_convs_->at<ConvModuleImpl>(k).forward(maps[k]);
    if (sum.defined()) {
      lateral = lateral + torch::upsample_nearest2d(sum, lateral.sizes().slice(2));
    }
    sum = lateral;
    outputs[k] = fpn_convs_->at<ConvModuleImpl>(k).forward(sum);
  }
  for (size_t k = maps.size(); k < levels_; ++k) {
    outputs[k] = torch::max_pool2d(outputs[k - 1], 1, 2);
  }
  return outputs;
}

}  // namespace asmlp::detect
