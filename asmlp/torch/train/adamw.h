// AdamW over named parameters, with a state that is saved and restored to the bit.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/schema/option_info.h"

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
constexpr auto names_of(NoDecay) {
  return std::array{std::pair{NoDecay::kOneDimensional, "1d"}, std::pair{NoDecay::kNorms, "norm"}};
}
bool takes_weight_decay(const std::string& name, int64_t dimensions, NoDecay rule);

// What a step makes of the gradient. The defaults are the authors' for classifiers.
struct OptimizerOptions {
  double weight_decay = 0.05;
  NoDecay no_decay = NoDecay::kOneDimensional;
  double eps = 1e-8;
  std::array<double, 2> betas{0.9, 0.999};
  double clip_grad = 5;
  bool model_ema = false;
  double model_ema_decay = 0.9998;

  static void visit(auto& self, auto&& field) {
    field("weight-decay", self.weight_decay, OptionInfo{{.low = 0}, "AdamW's decoupled decay"});
    field("no-decay", self.no_decay,
          OptionInfo{{},
                     "Parameters without decay: 1d (biases and those of one dimension), or norm "
                     "(those with norm in their names)"});
    field("opt-eps", self.eps, OptionInfo{{.above = 0}, "AdamW's epsilon"});
    field("opt-betas", self.betas, OptionInfo{{.low = 0, .below = 1}, "AdamW's two betas"});
    field("clip-grad", self.clip_grad,
          OptionInfo{{.low = 0}, "Largest norm of the whole gradient; 0 does not clip"});
    field("model-ema", self.model_ema,
          OptionInfo{{},
                     "Keep an exponential moving average of the weights; it is what is validated "
                     "and exported"});
    field("model-ema-decay", self.model_ema_decay,
          OptionInfo{{.low = 0, .below = 1}, "Decay of the average per step"});
  }
};

// Decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as torch.optim.AdamW:
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
//   p -= lr wd p + lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
// On a CPU elementwise in one pass over memory: the same bits for any number of threads.
class AdamW {
 public:
  explicit AdamW(const torch::nn::Module& module, const OptimizerOptions& options = {});

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
  OptimizerOptions options_;
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
