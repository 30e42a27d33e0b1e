#include "asmlp/torch/nn/sync_batch_norm.h"

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"

namespace asmlp::nn {

SyncBatchNorm2dImpl::SyncBatchNorm2dImpl(int channels)
    : weight(register_parameter("weight", torch::ones({channels}))),
      bias(register_parameter("bias", torch::zeros({channels}))),
      running_mean(register_buffer("running_mean", torch::zeros({channels}))),
      running_var(register_buffer("running_var", torch::ones({channels}))),
      num_batches_tracked(register_buffer("num_batches_tracked", torch::zeros({}, torch::kInt64))) {
}

torch::Tensor SyncBatchNorm2dImpl::forward(const torch::Tensor& x, AfterSum after) {
  require(x.dim() == 4 && x.size(1) == weight.size(0), ErrorCode::kInvalidArgument,
          "batch norm: input {} does not fit {} channels",
          to_string(Shape(x.sizes().begin(), x.sizes().end())), weight.size(0));
  if (!is_training()) {
    const auto y = torch::batch_norm(x, weight, bias, running_mean, running_var, false, kMomentum,
                                     kEps, torch::globalContext().userEnabledCuDNN());
    return after == AfterSum::kRelu ? torch::relu(y) : y;
  }
  const bool several = world_ != nullptr && world_->size() > 1;
  const auto y = fused_batch_norm(x, weight, bias, {running_mean, running_var, kMomentum}, kEps,
                                  after, several ? world_ : nullptr);
  num_batches_tracked.add_(1);
  return y;
}

void set_world(torch::nn::Module& net, dist::World* world) {
  for (const auto& module : net.modules()) {
    if (auto* norm = module->as<SyncBatchNorm2d>()) norm->set_world(world);
  }
}

}  // namespace asmlp::nn
