// The update of one parameter by stochastic gradient descent with momentum.
#pragma once

#include <torch/types.h>

namespace asmlp::train {

// As torch.optim.SGD (without dampening): the weight decay is part of the gradient.
//   d = g + wd p,   b = momentum b + d,
//   p -= lr b,  with Nesterov's momentum lr (d + momentum b);   g the scaled gradient.
struct SgdUpdate {
  double lr;
  double scale;  // of the gradient
  double weight_decay;
  double momentum;
  bool nesterov;
};

// fp32, contiguous, of one shape, on one device; the parameter has a gradient, and `buffer`, b
// above, is 0 before the first step. On a CPU elementwise in one pass over memory: the same bits
// for any number of threads.
void update_sgd(torch::Tensor& parameter, torch::Tensor& buffer, const SgdUpdate& update);

// The same eager of LibTorch's operators, for any device, with another rounding.
void eager_sgd(torch::Tensor& parameter, torch::Tensor& buffer, const SgdUpdate& update);

}  // namespace asmlp::train
