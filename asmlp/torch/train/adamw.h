// AdamW over named parameters, with a state that is saved and restored to the bit.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace asmlp::train {

// One parameter and its two moments: fp32, contiguous, on one device.
struct AdamWSlot {
  std::string name;
  torch::Tensor parameter;
  torch::Tensor m;  // running mean of the gradient
  torch::Tensor v;  // running mean of its square
  bool decay;       // weight decay applies
};

// Which parameters have no weight decay.
enum class NoDecay {
  kOneDimensional,  // those of one dimension, and biases (timm; the authors' classifiers)
  kNorms,           // those with "norm" in their names (mmcv's key; the authors' detectors and
                    // segmentors, whose biases and batch norms ("bn") decay)
};
bool takes_weight_decay(const std::string& name, int64_t dimensions, NoDecay rule);
// The rule of the option no-decay: "1d" or "norm".
inline NoDecay decay_rule(const std::string& name) {
  return name == "norm" ? NoDecay::kNorms : NoDecay::kOneDimensional;
}

// Decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as torch.optim.AdamW:
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
//   p -= lr wd p + lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
// On a CPU elementwise in one pass over memory: the same bits for any number of threads.
class AdamW {
 public:
  AdamW(const torch::nn::Module& module, double weight_decay, std::array<double, 2> betas,
        double eps, NoDecay rule = NoDecay::kOneDimensional);

  // The 2-norm of all gradients together, summed in double in a fixed order; NaN or infinity when
  // an element is not finite.
  double gradient_norm() const;

  // Applies one update with the gradients multiplied by `gradient_scale`.
  void step(double lr, double gradient_scale);

  // Forgets the gradients; with `keep_memory` they are set to zero where they are, for those who
  // own that memory (dist::GradientSync).
  void zero_grad(bool keep_memory = false);

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

// The update of one slot eager of LibTorch's operators, for any device; `step` uses it where
// there is no CPU loop. Same formula, another rounding. step_size is lr / (1 - b1^t), root_v_scale
// is 1 / sqrt(1 - b2^t).
struct AdamWUpdate {
  double keep;   // 1 - lr * weight decay
  double scale;  // of the gradient
  double b1, b2;
  double step_size;
  double root_v_scale;
  double eps;
};
void eager_update(AdamWSlot& slot, const AdamWUpdate& update);

// average = decay * average + (1 - decay) * value for every parameter of two equal modules; buffers
// (the statistics of batch norms) are copied.
void update_average(torch::nn::Module& average, const torch::nn::Module& module, double decay);

}  // namespace asmlp::train
