// The learning rate of a step: linear warmup over a decaying base.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// What the rate does after the warmup, from `peak` at step 0 on; `step` counts from the start of
// the run, warmup included.
enum class Decay {
  kCosine,     // last + (peak - last) (1 + cos(pi step / total)) / 2: timm's, and the authors'
               // classifiers'
  kMultistep,  // peak x factor^(milestones passed): the authors' detectors
  kPoly,       // last + (peak - last) (1 - step / total)^power: the authors' segmentors
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
  std::vector<int64_t> milestones;  // steps, of kMultistep
  double factor = 0.1;              // of kMultistep
  double power = 1;                 // of kPoly

  // `step` >= 0; from total_steps on that of the end.
  double lr(int64_t step) const;

 private:
  double base(int64_t step) const;
};

// That of a run by `world` processes.
Schedule make_schedule(const TrainOptions& options, int world, int64_t steps_per_epoch);

}  // namespace asmlp::train
