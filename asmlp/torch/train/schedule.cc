#include "asmlp/torch/train/schedule.h"

#include <algorithm>
#include <cmath>

namespace asmlp::train {

double Schedule::base(int64_t step) const {
  const double done = double(std::min(step, total_steps)) / double(total_steps);
  if (decay == Decay::kPoly) return last + (peak - last) * std::pow(1 - done, power);
  if (decay == Decay::kMultistep) {
    const auto passed = std::ranges::count_if(milestones, [&](int64_t m) { return step >= m; });
    return peak * std::pow(factor, double(passed));
  }
  return step >= total_steps ? last : last + 0.5 * (peak - last) * (1 + std::cos(M_PI * done));
}

double Schedule::lr(int64_t step) const {
  if (step >= warmup_steps) return base(step);
  const double done = double(step) / double(warmup_steps);
  if (decay == Decay::kCosine) return first + (peak - first) * done;
  return base(step) * (1 - (1 - done) * (1 - first / peak));
}

Schedule make_schedule(const TrainOptions& options, int world, int64_t steps_per_epoch) {
  Schedule schedule;
  schedule.decay = options.sched == "poly"        ? Decay::kPoly
                   : options.sched == "multistep" ? Decay::kMultistep
                                                  : Decay::kCosine;
  schedule.peak = options.peak_lr(world);
  schedule.first = options.first_lr(world);
  schedule.last = options.last_lr(world);
  schedule.warmup_steps =
      options.warmup_steps.value_or(std::llround(options.warmup_epochs * double(steps_per_epoch)));
  schedule.total_steps = options.epochs * steps_per_epoch;
  for (int epoch : options.decay_milestones) schedule.milestones.push_back(epoch * steps_per_epoch);
  schedule.factor = options.decay_rate;
  schedule.power = options.sched_power;
  return schedule;
}

}  // namespace asmlp::train
