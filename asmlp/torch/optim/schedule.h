// The learning rate of a step: linear warmup over a decaying base.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/schema/option_info.h"

namespace asmlp::train {

// What the rate does after the warmup, from `peak` at step 0 on; `step` counts from the start of
// the run, warmup included.
enum class Decay {
  kCosine,     // last + (peak - last) (1 + cos(pi step / total)) / 2: timm's, and the authors'
               // classifiers'
  kMultistep,  // peak x factor^(milestones passed): the authors' detectors
  kPoly,       // last + (peak - last) (1 - step / total)^power: the authors' segmentors
};
constexpr auto names_of(Decay) {
  return std::array{std::pair{Decay::kCosine, "cosine"}, std::pair{Decay::kMultistep, "multistep"},
                    std::pair{Decay::kPoly, "poly"}};
}

// A warmup of so many epochs and steps together.
struct Warmup {
  double epochs = 0;
  int64_t steps = 0;
};

// How many steps of how many images, at which rates. The defaults are the authors' for classifiers.
struct ScheduleOptions {
  int epochs = 300;
  int batch_size = 128;
  int accumulation_steps = 1;
  std::optional<double> lr;
  double lr_base = 5e-4;
  int lr_base_size = 512;
  Decay decay = Decay::kCosine;
  std::optional<std::vector<double>> milestones;
  double decay_rate = 0.1;
  double power = 1;
  std::optional<double> warmup_epochs;
  std::optional<int64_t> warmup_steps;
  std::optional<double> warmup_lr;
  std::optional<double> min_lr;

  // No option: the task's warmup, where neither of the two above is given.
  Warmup usual_warmup{.epochs = 20};

  // The images of one update of the weights by `world` processes.
  int64_t global_batch(int world) const { return int64_t{batch_size} * accumulation_steps * world; }

  static void visit(auto& self, auto&& field) {
    constexpr auto kWarns = OnResume::kWarns;
    field("epochs", self.epochs, OptionInfo{{.low = 1}, "Passes over the training images"});
    field("batch-size", self.batch_size,
          OptionInfo{{.low = 1, .high = 65536}, "Images per process and micro-batch", kWarns, 'b'});
    field("accumulation-steps", self.accumulation_steps,
          OptionInfo{{.low = 1, .high = 65536},
                     "Micro-batches whose gradients make one step: the global batch is batch-size "
                     "x accumulation-steps x processes",
                     kWarns});
    field("lr", self.lr,
          OptionInfo{{.above = 0},
                     "Peak learning rate (default: lr-base * global batch / lr-base-size)"});
    field("lr-base", self.lr_base, OptionInfo{{.above = 0}, "Peak learning rate at lr-base-size"});
    field("lr-base-size", self.lr_base_size,
          OptionInfo{{.low = 1}, "Images of a step (global batch) that lr-base is for"});
    field("sched", self.decay,
          OptionInfo{{}, "Learning rate after the warmup: cosine, multistep or poly"});
    field("decay-milestones", self.milestones,
          OptionInfo{{.above = 0},
                     "multistep: numbers of finished epochs, or fractions, after which the rate is "
                     "multiplied by decay-rate (default: 8/12 and 11/12 of the run)"});
    field("decay-rate", self.decay_rate,
          OptionInfo{{.high = 1, .above = 0}, "multistep: factor of a milestone"});
    field("sched-power", self.power, OptionInfo{{.above = 0}, "poly: exponent"});
    field("warmup-epochs", self.warmup_epochs,
          OptionInfo{{.low = 0},
                     "Epochs of linear warmup, per step; may be a fraction (default: 20 epochs; "
                     "detect: 500 steps; segment: 1500 steps; at most a tenth of the run)"});
    field("warmup-steps", self.warmup_steps,
          OptionInfo{{.low = 0}, "Steps of linear warmup, instead of warmup-epochs"});
    field("warmup-lr", self.warmup_lr,
          OptionInfo{{.low = 0},
                     "Learning rate of the first step (default: 5e-7 * global batch / "
                     "lr-base-size; detect: lr / 1000; segment: lr / 1e6)"});
    field("min-lr", self.min_lr,
          OptionInfo{{.low = 0},
                     "Learning rate at the end of cosine and poly (default: 5e-6 * global batch / "
                     "lr-base-size; 0 for detect and segment)"});
  }
};

// Error(kInvalidArgument) naming the option: each in its range, milestones in rising order.
void validate(const ScheduleOptions& options);

// Fits a schedule that was written for `planned` epochs to the number in options.epochs: milestones
// keep their shares of the run, and the warmup of a shorter run its own.
void refit_schedule(ScheduleOptions& options, int planned);

// Those in use, of the whole run.
struct LearningRates {
  double peak = 0;   // after the warmup
  double first = 0;  // of the first step of a warmup
  double last = 0;   // where cosine and poly end
};

// The warmup goes from `first` at step 0 to the base's value at warmup_steps. With kCosine it is
// linear up to `peak`, as timm's; with the others the base is multiplied by a factor that rises
// linearly from first / peak to 1, as mmcv's.
struct Schedule {
  Decay decay = Decay::kCosine;
  double peak = 0;
  double first = 0;
  double last = 0;  // of kCosine and kPoly
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;
  std::vector<int64_t> milestones = {};  // steps, of kMultistep
  double factor = 0.1;                   // of kMultistep
  double power = 1;                      // of kPoly

  // `step` >= 0; from total_steps on that of the end.
  double lr(int64_t step) const;

 private:
  double base(int64_t step) const;
};

// The run's schedule. A warmup that is not given is the usual one, at most a tenth of the run (and
// no longer than its steps allow: a run of fewer than ten has none). One that is given holds,
// unless it is longer than the run: then it is a tenth of it, and `note` (may be null) becomes a
// sentence that says so. Milestones that are not given lie at 8/12 and 11/12 of the run, the
// authors' 8 and 11 of 12 epochs.
Schedule make_schedule(const ScheduleOptions& options, const LearningRates& rates,
                       int64_t steps_per_epoch, std::string* note = nullptr);

}  // namespace asmlp::train
