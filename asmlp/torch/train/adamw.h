// AdamW over named parameters, with a state that is saved and restored to the bit.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace asmlp::train {

// One parameter and its two moments: fp32, contiguous, on the CPU.
struct AdamWSlot {
  std::string name;
  torch::Tensor parameter;
  torch::Tensor m;  // running mean of the gradient
  torch::Tensor v;  // running mean of its square
  bool decay;       // weight decay applies
};

// True for the parameters that the authors decay: not one-dimensional and no bias.
bool takes_weight_decay(const std::string& name, int64_t dimensions);

// Decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as torch.optim.AdamW:
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
//   p -= lr wd p + lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
// Elementwise in one pass over memory: the same bits for any number of threads.
class AdamW {
 public:
  AdamW(const torch::nn::Module& module, double weight_decay, std::array<double, 2> betas,
        double eps);

  // The 2-norm of all gradients together, summed in double in a fixed order; NaN or infinity when
  // an element is not finite.
  double gradient_norm() const;

  // Applies one update with the gradients multiplied by `gradient_scale`, and clears them.
  void step(double lr, double gradient_scale);

  // Clears the gradients without an update.
  void zero_grad();

  std::vector<AdamWSlot>& slots() { return slots_; }
  int64_t updates() const { return updates_; }  // t above
  void set_updates(int64_t updates) { updates_ = updates; }

 private:
  std::vector<AdamWSlot> slots_;
  double weight_decay_;
  std::array<double, 2> betas_;
  double eps_;
  int64_t updates_ = 0;
};

// average = decay * average + (1 - decay) * value for every parameter of two equal modules.
void update_average(torch::nn::Module& average, const torch::nn::Module& module, double decay);

}  // namespace asmlp::train
