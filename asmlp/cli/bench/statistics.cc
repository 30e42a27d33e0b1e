#include "asmlp/cli/bench/statistics.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::cli {

double quantile(std::vector<double> samples, double q) {
  require(!samples.empty() && q >= 0 && q <= 1, ErrorCode::kInvalidArgument,
          "quantile {} of {} samples", q, samples.size());
  std::sort(samples.begin(), samples.end());
  const double position = q * static_cast<double>(samples.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, samples.size() - 1);
  return std::lerp(samples[below], samples[above], position - static_cast<double>(below));
}

Statistics summarize(const std::vector<double>& samples) {
  return {.median = quantile(samples, 0.5),
          .min = quantile(samples, 0),
          .p10 = quantile(samples, 0.1),
          .p90 = quantile(samples, 0.9)};
}

}  // namespace asmlp::cli
