// What a list of measurements is summed up as.
#pragma once

#include <vector>

namespace asmlp::cli {

// Of at least one sample. A run is only ever slowed down by the rest of the machine, never sped up:
// hence the median and the minimum, and the spread as quantiles instead of a standard deviation.
struct Statistics {
  double median = 0;
  double min = 0;
  double p10 = 0;  // a tenth of the samples is below
  double p90 = 0;  // a tenth is above
};

// The value below which the share `q` in [0, 1] of the samples lies, linear between neighboring
// samples (R's type 7, numpy's default). Error(kInvalidArgument) without samples.
double quantile(std::vector<double> samples, double q);

// Error(kInvalidArgument) without samples.
Statistics summarize(const std::vector<double>& samples);

}  // namespace asmlp::cli
