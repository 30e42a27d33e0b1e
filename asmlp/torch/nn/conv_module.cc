#include "asmlp/torch/nn/conv_module.h"

#include "asmlp/core/error.h"
#include "asmlp/torch/ops/conv/levels.h"

namespace asmlp::nn {

namespace {

torch::nn::Conv2d make_conv(int64_t in, int64_t out, int64_t kernel, bool bias) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, kernel).padding(kernel / 2).bias(bias));
}

}  // namespace

ConvModuleImpl::ConvModuleImpl(int in, int out, int kernel, AfterConv after)
    : conv(register_module("conv", make_conv(in, out, kernel, after != AfterConv::kBatchNormRelu))),
      after_(after) {
  init_kaiming(conv);
  if (after == AfterConv::kBatchNormRelu) bn_ = register_module("bn", SyncBatchNorm2d(out));
}

torch::Tensor ConvModuleImpl::forward(const torch::Tensor& x) {
  if (bn_) return bn_(convolve(x, conv), AfterSum::kRelu);
  return convolve(x, conv, after_ == AfterConv::kRelu ? AfterSum::kRelu : AfterSum::kNothing);
}

torch::Tensor ConvModuleImpl::forward_levels(const std::vector<torch::Tensor>& levels) {
  auto y = conv_of_levels(levels, conv->weight);
  if (conv->bias.defined()) y = y + conv->bias.view({1, -1, 1, 1});
  if (bn_) return bn_(y, AfterSum::kRelu);
  return after_ == AfterConv::kRelu ? torch::relu(y) : y;
}

// bn(conv(x)) = scale * (W x - mean) + shift with scale = gamma / sqrt(var + eps).
void ConvModuleImpl::fold_batch_norm() {
  if (!bn_) return;
  require(!is_training(), ErrorCode::kInvalidArgument,
          "batch norms are folded for evaluation; call eval() first");
  const torch::NoGradGuard no_grad;
  const auto wide = [](const torch::Tensor& t) { return t.to(torch::kDouble); };
  const auto scale =
      wide(bn_->weight) / (wide(bn_->running_var) + SyncBatchNorm2dImpl::kEps).sqrt();
  const torch::Tensor& weight = conv->weight;
  torch::nn::Conv2d folded = make_conv(weight.size(1), weight.size(0), weight.size(2), true);
  folded->to(weight.device(), weight.scalar_type());
  folded->weight.copy_(wide(weight) * scale.view({-1, 1, 1, 1}));
  folded->bias.copy_(wide(bn_->bias) - wide(bn_->running_mean) * scale);
  folded->eval();
  conv = replace_module("conv", folded);
  unregister_module("bn");
  bn_ = nullptr;
  after_ = AfterConv::kRelu;
}

void fold_batch_norm(torch::nn::Module& net) {
  for (const auto& module : net.modules()) {
    if (auto* conv = module->as<ConvModule>()) conv->fold_batch_norm();
  }
}

}  // namespace asmlp::nn
