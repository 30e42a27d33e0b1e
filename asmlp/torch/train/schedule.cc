#include "asmlp/torch/train/schedule.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "asmlp/schema/fields.h"

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

void validate(const ScheduleOptions& options) {
  check_ranges(options, "");
  require(options.warmup_epochs <= options.epochs, ErrorCode::kInvalidArgument,
          "warmup-epochs is {}, must be at most the run's {} epochs", options.warmup_epochs,
          options.epochs);
  require(std::ranges::is_sorted(options.milestones), ErrorCode::kInvalidArgument,
          "decay-milestones are {}, must be in rising order", fmt::join(options.milestones, " "));
}

Schedule make_schedule(const ScheduleOptions& options, const LearningRates& rates,
                       int64_t steps_per_epoch) {
  Schedule schedule;
  schedule.decay = options.decay;
  schedule.peak = rates.peak;
  schedule.first = rates.first;
  schedule.last = rates.last;
  schedule.warmup_steps =
      options.warmup_steps.value_or(std::llround(options.warmup_epochs * double(steps_per_epoch)));
  schedule.total_steps = options.epochs * steps_per_epoch;
  for (int epoch : options.milestones) schedule.milestones.push_back(epoch * steps_per_epoch);
  schedule.factor = options.decay_rate;
  schedule.power = options.power;
  return schedule;
}

}  // namespace asmlp::train
