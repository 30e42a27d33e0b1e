// AdamW's update of one parameter.
#pragma once

#include <torch/types.h>

namespace asmlp::train {

// Decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as torch.optim.AdamW:
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
//   p -= lr wd p + lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps),   g the scaled gradient.
struct AdamWUpdate {
  double keep;   // 1 - lr * weight decay
  double scale;  // of the gradient
  double b1, b2;
  double step_size;     // lr / (1 - b1^t)
  double root_v_scale;  // 1 / sqrt(1 - b2^t)
  double eps;
};

// fp32, contiguous, of one shape, on one device; the parameter has a gradient. On a CPU elementwise
// in one pass over memory: the same bits for any number of threads.
void update_adamw(torch::Tensor& parameter, torch::Tensor& m, torch::Tensor& v,
                  const AdamWUpdate& update);

// The same formula eager of LibTorch's operators, for any device, with another rounding: what
// update_adamw does where there is no loop of our own.
void eager_adamw(torch::Tensor& parameter, torch::Tensor& m, torch::Tensor& v,
                 const AdamWUpdate& update);

}  // namespace asmlp::train
