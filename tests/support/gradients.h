// Finite differences for the tests of differentiable operators.
#pragma once

#include <torch/torch.h>

#include <functional>

namespace asmlp::nn {

// Largest |analytic - numeric| / max(1, max |numeric|) over the gradient of a fixed random
// projection of f(x) with respect to x (fp64). Central differences: expect about 1e-8 for a smooth
// f.
inline double gradient_error(const std::function<torch::Tensor(const torch::Tensor&)>& f,
                             const torch::Tensor& at, double step = 1e-5) {
  const auto x = at.detach().clone().contiguous().requires_grad_();
  const auto y = f(x);
  const auto direction = torch::sin(torch::arange(y.numel(), torch::kFloat64) * 1.7 + 0.3);
  const auto project = [&](const torch::Tensor& value) {
    return (value.contiguous().view(-1) * direction).sum();
  };
  const auto analytic = torch::autograd::grad({project(y)}, {x})[0].contiguous();
  const auto numeric = torch::empty_like(analytic);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto value_at = [&](double offset) {
      auto moved = x.detach().clone();
      moved.view(-1)[i] += offset;
      moved.requires_grad_();  // f may itself differentiate
      return project(f(moved)).item<double>();
    };
    numeric.view(-1)[i] = (value_at(step) - value_at(-step)) / (2 * step);
  }
  return (analytic - numeric).abs().max().item<double>() /
         std::max(1.0, numeric.abs().max().item<double>());
}

}  // namespace asmlp::nn
