#include "asmlp/torch/optim/muon.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace asmlp::train {

bool takes_muon(const std::string& name, int64_t dimensions) {
  return dimensions >= 2 && name.find("layers.") != std::string::npos;
}

torch::Tensor orthogonal(const torch::Tensor& d) {
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
  constexpr int kSteps = 5;
  const bool tall = d.size(0) > d.size(1);
  auto x = tall ? d.t() : d;
  x = x / (x.norm() + 1e-7);
  for (int i = 0; i < kSteps; ++i) {
    const auto gram = torch::mm(x, x.t());
    const auto factor = torch::addmm(gram, gram, gram, kB, kC);
    x = torch::addmm(x, factor, x, kA, 1);
  }
  return tall ? x.t() : x;
}

void update_muon(torch::Tensor& parameter, torch::Tensor& buffer, const MuonUpdate& u) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor gradient = parameter.grad() * u.scale;
  buffer.mul_(u.momentum).add_(gradient, 1 - u.momentum);
  const auto direction = gradient.mul(1 - u.momentum).add_(buffer, u.momentum).flatten(1);
  const auto longest = static_cast<double>(std::max(direction.size(0), direction.size(1)));
  const auto step = orthogonal(direction).reshape(parameter.sizes());
  parameter.mul_(1 - u.lr * u.weight_decay).sub_(step, u.lr * 0.2 * std::sqrt(longest));
}

}  // namespace asmlp::train
