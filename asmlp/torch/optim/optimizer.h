// AdamW, Muon, or SGD over named parameters, with a state that is saved and restored to the bit.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/schema/option_info.h"

namespace asmlp::train {

// How a step is made of the gradients.
enum class Opt {
  kAdamW,  // adamw.h
  kSgd,    // with momentum, sgd.h
  kMuon,   // of the layers' weights, muon.h; AdamW of the others
};
constexpr auto names_of(Opt) {
  return std::array{std::pair{Opt::kAdamW, "adamw"}, std::pair{Opt::kSgd, "sgd"},
                    std::pair{Opt::kMuon, "muon"}};
}

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
  Opt opt = Opt::kAdamW;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0.05;
  NoDecay no_decay = NoDecay::kOneDimensional;
  double eps = 1e-8;
  std::array<double, 2> betas{0.9, 0.999};
  double clip_grad = 5;
  int freeze = 0;
  double layer_decay = 1;
  bool model_ema = false;
  double model_ema_decay = 0.9998;

  static void visit(auto& self, auto&& field) {
    field("opt", self.opt,
          OptionInfo{{},
                     "adamw; muon (for the weights of the layers, adamw for the others, with the "
                     "same rates); or sgd (with momentum). sgd has other defaults of lr-base, "
                     "lr-base-size and weight-decay: its own"});
    field("momentum", self.momentum, OptionInfo{{.low = 0, .below = 1}, "sgd, muon: momentum"});
    field("nesterov", self.nesterov, OptionInfo{{}, "sgd: Nesterov's momentum"});
    field("weight-decay", self.weight_decay,
          OptionInfo{{.low = 0}, "AdamW's decoupled decay; with sgd part of the gradient"});
    field("no-decay", self.no_decay,
          OptionInfo{{},
                     "Parameters without decay: 1d (biases and those of one dimension), or norm "
                     "(those with norm in their names)"});
    field("opt-eps", self.eps, OptionInfo{{.above = 0}, "AdamW's epsilon"});
    field("opt-betas", self.betas, OptionInfo{{.low = 0, .below = 1}, "AdamW's two betas"});
    field("clip-grad", self.clip_grad,
          OptionInfo{{.low = 0}, "Largest norm of the whole gradient; 0 does not clip"});
    field("freeze", self.freeze,
          OptionInfo{{.low = 0, .high = 64},
                     "Keep the patch embedding and the first so many stages as they are: no "
                     "gradient, no decay; 0 trains everything"});
    field("layer-decay", self.layer_decay,
          OptionInfo{{.high = 1, .above = 0},
                     "Learning rate of a layer, as a share of the next one's: block k of L has lr "
                     "* layer-decay^(L + 1 - k), the patch embedding is k = 0, heads have lr"});
    field("model-ema", self.model_ema,
          OptionInfo{{},
                     "Keep an exponential moving average of the weights; it is what is validated "
                     "and exported"});
    field("model-ema-decay", self.model_ema_decay,
          OptionInfo{{.low = 0, .below = 1}, "Decay of the average per step"});
  }
};

// Error(kInvalidArgument) naming the option that is outside its range, or does not fit another.
void validate(const OptimizerOptions& options);

// What is kept of one parameter between the steps: of its shape, fp32, contiguous, on its device.
struct Moment {
  std::string
      kind;  // AdamW: "m" (the gradient's running mean), "v" (its square's); SGD, Muon: "momentum"
  torch::Tensor values;
};

// One parameter: fp32, contiguous.
struct OptimizerSlot {
  std::string name;
  torch::Tensor parameter;
  std::vector<Moment> moments;  // none of a frozen parameter
  bool decay = false;           // weight decay applies
  double lr_scale = 1;          // of the step's learning rate (layer-decay)

  // Its values of that kind. Precondition: there are such.
  torch::Tensor& moment(const std::string& kind);
};

// The optimizer that the options name. A parameter without gradient (requires_grad is off, or no
// gradient has come) stays as it is, to the bit.
class Optimizer {
 public:
  // Errors: kUnsupported for a parameter that is not contiguous fp32; layer_scales'.
  explicit Optimizer(const torch::nn::Module& module, const OptimizerOptions& options = {});

  // The 2-norm of all gradients together, summed in double in a fixed order; NaN or infinity when
  // an element is not finite.
  double gradient_norm() const;

  // Applies one update with the gradients multiplied by `gradient_scale`.
  void step(double lr, double gradient_scale);

  // Forgets the gradients.
  void zero_grad();

  std::vector<OptimizerSlot>& slots() { return slots_; }
  int64_t updates() const { return updates_; }  // t in adamw.h
  void set_updates(int64_t updates) { updates_ = updates; }

 private:
  void step_adamw(OptimizerSlot& slot, double lr, double gradient_scale);
  void step_sgd(OptimizerSlot& slot, double lr, double gradient_scale);
  void step_muon(OptimizerSlot& slot, double lr, double gradient_scale);

  std::vector<OptimizerSlot> slots_;
  OptimizerOptions options_;
  int64_t updates_ = 0;
};

// average = decay * average + (1 - decay) * value for every parameter of two equal modules that
// takes a gradient in `module`; with decay 0 all are copied. Buffers (the statistics of batch
// norms) are copied.
void update_average(torch::nn::Module& average, const torch::nn::Module& module, double decay);

}  // namespace asmlp::train
