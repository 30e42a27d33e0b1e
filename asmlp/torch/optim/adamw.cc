#include "asmlp/torch/optim/adamw.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include "asmlp/torch/optim/update_kernels.h"

namespace asmlp::train {
namespace {

constexpr int64_t kAdamWPart = 1 << 16;  // elements that one thread takes at a time

void loop_adamw(const torch::Tensor& parameter, torch::Tensor& first, torch::Tensor& second,
                const AdamWUpdate& update) {
  const torch::Tensor gradients = parameter.grad().contiguous();
  const float* gradient = gradients.data_ptr<float>();
  float* p = parameter.data_ptr<float>();
  float* m = first.data_ptr<float>();
  float* v = second.data_ptr<float>();
  const AdamWFactors factors{
      static_cast<float>(update.scale),     static_cast<float>(update.b1),
      static_cast<float>(update.b2),        static_cast<float>(update.keep),
      static_cast<float>(update.step_size), static_cast<float>(update.root_v_scale),
      static_cast<float>(update.eps)};
  at::parallel_for(0, gradients.numel(), kAdamWPart, [=](int64_t begin, int64_t end) {
    adamw_range(gradient + begin, p + begin, m + begin, v + begin, end - begin, factors);
  });
}

}  // namespace

void eager_adamw(torch::Tensor& parameter, torch::Tensor& m, torch::Tensor& v,
                 const AdamWUpdate& u) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor g = parameter.grad() * u.scale;
  m.mul_(u.b1).add_(g, 1 - u.b1);
  v.mul_(u.b2).addcmul_(g, g, 1 - u.b2);
  parameter.mul_(u.keep).addcdiv_(m, v.sqrt().mul_(u.root_v_scale).add_(u.eps), -u.step_size);
}

void update_adamw(torch::Tensor& parameter, torch::Tensor& m, torch::Tensor& v,
                  const AdamWUpdate& update) {
  parameter.device().is_cpu() ? loop_adamw(parameter, m, v, update)
                              : eager_adamw(parameter, m, v, update);
}

}  // namespace asmlp::train
