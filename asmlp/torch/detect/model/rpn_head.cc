#include "asmlp/torch/detect/model/rpn_head.h"

#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::detect {

using torch::nn::Conv2d, torch::nn::Conv2dOptions;

RpnHeadImpl::RpnHeadImpl(int in_channels, int channels, int anchors)
    : rpn_conv_(
          register_module("rpn_conv", Conv2d(Conv2dOptions(in_channels, channels, 3).padding(1)))),
      rpn_cls_(register_module("rpn_cls", Conv2d(Conv2dOptions(channels, anchors, 1)))),
      rpn_reg_(register_module("rpn_reg", Conv2d(Conv2dOptions(channels, 4 * anchors, 1)))) {
  for (const auto& conv : {rpn_conv_, rpn_cls_, rpn_reg_}) nn::init_normal(conv, 0.01);
}

RpnOutput RpnHeadImpl::forward(const std::vector<torch::Tensor>& pyramid) {
  RpnOutput output;
  for (const auto& map : pyramid) {
    const auto x = nn::convolve(map, rpn_conv_, nn::AfterSum::kRelu);
    output.logits.push_back(nn::convolve(x, rpn_cls_));
    output.deltas.push_back(nn::convolve(x, rpn_reg_));
  }
  return output;
}

}  // namespace asmlp::detect
