#include "asmlp/torch/train/schedule.h"

#include <cmath>

namespace asmlp::train {

double Schedule::lr(int64_t step) const {
  if (step < warmup_steps) return first + (peak - first) * double(step) / double(warmup_steps);
  if (step >= total_steps) return last;
  return last + 0.5 * (peak - last) * (1 + std::cos(M_PI * double(step) / double(total_steps)));
}

}  // namespace asmlp::train
