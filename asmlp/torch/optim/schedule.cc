#include "asmlp/torch/optim/schedule.h"

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
  const std::vector<double> milestones = options.milestones.value_or(std::vector<double>());
  require(std::ranges::is_sorted(milestones), ErrorCode::kInvalidArgument,
          "decay-milestones are {}, must be in rising order", fmt::join(milestones, " "));
}

void refit_schedule(ScheduleOptions& options, int planned) {
  const double share = double(options.epochs) / planned;
  if (options.milestones) {
    for (double& epoch : *options.milestones) epoch *= share;
  }
  if (share >= 1) return;
  if (options.warmup_epochs) *options.warmup_epochs *= share;
  if (options.warmup_steps) {
    *options.warmup_steps = std::llround(double(*options.warmup_steps) * share);
  }
}

Schedule make_schedule(const ScheduleOptions& options, const LearningRates& rates,
                       int64_t steps_per_epoch, std::string* note) {
  Schedule schedule;
  schedule.decay = options.decay;
  schedule.peak = rates.peak;
  schedule.first = rates.first;
  schedule.last = rates.last;
  const int64_t total = options.epochs * steps_per_epoch, tenth = total / 10;
  schedule.total_steps = total;
  const auto steps_of = [&](double epochs) {
    return std::llround(epochs * double(steps_per_epoch));
  };
  if (options.warmup_steps || options.warmup_epochs) {
    const int64_t given =
        options.warmup_steps.value_or(steps_of(options.warmup_epochs.value_or(0)));
    schedule.warmup_steps = given <= total ? given : tenth;
    if (given > total && note) {
      *note = fmt::format(
          "the warmup of {} steps is longer than the run of {}: it is a tenth of the run, {} "
          "steps; "
          "another one can be given with --warmup-steps",
          given, total, tenth);
    }
  } else {
    const Warmup& usual = options.usual_warmup;
    schedule.warmup_steps = std::min<int64_t>(steps_of(usual.epochs) + usual.steps, tenth);
  }
  if (options.milestones) {
    for (double epoch : *options.milestones) schedule.milestones.push_back(steps_of(epoch));
  } else {
    schedule.milestones = {(total * 8 + 6) / 12, (total * 11 + 6) / 12};
  }
  schedule.factor = options.decay_rate;
  schedule.power = options.power;
  return schedule;
}

}  // namespace asmlp::train
