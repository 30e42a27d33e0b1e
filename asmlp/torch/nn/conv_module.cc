#include "asmlp/torch/nn/conv_module.h"

namespace asmlp::nn {

ConvModuleImpl::ConvModuleImpl(int in, int out, int kernel, AfterConv after)
    : conv(register_module("conv",
                           torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel)
                                                 .padding(kernel / 2)
                                                 .bias(after != AfterConv::kBatchNormRelu)))),
      after_(after) {
  init_kaiming(conv);
  if (after == AfterConv::kBatchNormRelu) bn_ = register_module("bn", SyncBatchNorm2d(out));
}

torch::Tensor ConvModuleImpl::forward(const torch::Tensor& x) {
  const auto y = conv(x);
  if (after_ == AfterConv::kNothing) return y;
  return torch::relu(bn_ ? bn_(y) : y);
}

}  // namespace asmlp::nn
