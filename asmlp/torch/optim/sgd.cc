#include "asmlp/torch/optim/sgd.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

namespace asmlp::train {
namespace {

constexpr int64_t kSgdPart = 1 << 16;  // elements that one thread takes at a time

// In one pass over memory, the constants in fp32.
void loop_sgd(const torch::Tensor& parameter, torch::Tensor& buffer, const SgdUpdate& update) {
  const torch::Tensor gradients = parameter.grad().contiguous();
  const float* __restrict gradient = gradients.data_ptr<float>();
  float* __restrict p = parameter.data_ptr<float>();
  float* __restrict b = buffer.data_ptr<float>();
  const auto lr = static_cast<float>(update.lr), scale = static_cast<float>(update.scale);
  const auto decay = static_cast<float>(update.weight_decay);
  const auto momentum = static_cast<float>(update.momentum);
  // p -= lr (own d + share b) is both kinds of momentum.
  const float own = update.nesterov ? 1 : 0, share = update.nesterov ? momentum : 1;
  at::parallel_for(0, gradients.numel(), kSgdPart, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float d = gradient[i] * scale + decay * p[i];
      b[i] = momentum * b[i] + d;
      p[i] -= lr * (own * d + share * b[i]);
    }
  });
}

}  // namespace

void eager_sgd(torch::Tensor& parameter, torch::Tensor& buffer, const SgdUpdate& u) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor d = parameter.grad() * u.scale + parameter * u.weight_decay;
  buffer.mul_(u.momentum).add_(d);
  parameter.sub_(u.nesterov ? d + buffer * u.momentum : buffer, u.lr);
}

void update_sgd(torch::Tensor& parameter, torch::Tensor& buffer, const SgdUpdate& update) {
  parameter.device().is_cpu() ? loop_sgd(parameter, buffer, update)
                              : eager_sgd(parameter, buffer, update);
}

}  // namespace asmlp::train
