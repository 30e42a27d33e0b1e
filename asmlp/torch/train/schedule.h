// The learning rate of a step: linear warmup, then cosine.
#pragma once

#include <cstdint>

namespace asmlp::train {

// As the authors' runs (timm's CosineLRScheduler stepped per update): during warmup linear from
// `first` to `peak`; afterwards last + (peak - last) (1 + cos(pi step / total)) / 2, where `step`
// counts from the start of the run, warmup included.
struct Schedule {
  double peak = 0;
  double first = 0;
  double last = 0;
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;

  // `step` >= 0; `last` from total_steps on.
  double lr(int64_t step) const;
};

}  // namespace asmlp::train
