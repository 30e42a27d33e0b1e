#include "asmlp/quantize/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "asmlp/weights/quantized.h"

namespace asmlp {
namespace {

constexpr int kSteps = 255;  // between the least and the greatest of the 256 numbers

// A range in bins: [first, end).
struct BinRange {
  int first, end;
};

ValueRange values_of(const Histogram& histogram, BinRange bins) {
  const ValueRange whole = histogram.range();
  const float low = bins.first == 0 ? whole.low : whole.low + bins.first * histogram.bin_width();
  const float high =
      bins.end == Histogram::kBins ? whole.high : whole.low + bins.end * histogram.bin_width();
  return {std::min(low, 0.0f), std::max(high, 0.0f)};
}

// Number, sum, and sum of squares of the values in the bins before each bin, every value taken as
// the middle of its bin.
struct Moments {
  std::vector<double> count, sum, squares;
  explicit Moments(const Histogram& histogram)
      : count(Histogram::kBins + 1), sum(count), squares(count) {
    const double low = histogram.range().low, width = histogram.bin_width();
    for (size_t bin = 0; bin < Histogram::kBins; ++bin) {
      const double n = static_cast<double>(histogram.count(static_cast<int>(bin)));
      const double value = low + (static_cast<double>(bin) + 0.5) * width;
      count[bin + 1] = count[bin] + n;
      sum[bin + 1] = sum[bin] + n * value;
      squares[bin + 1] = squares[bin] + n * value * value;
    }
  }
  // Sum over the values of bins [first, end) of (value - to)^2.
  double distance(size_t first, size_t end, double to) const {
    return squares[end] - squares[first] - 2 * to * (sum[end] - sum[first]) +
           to * to * (count[end] - count[first]);
  }
};

}  // namespace

Histogram::Histogram(ValueRange range)
    : range_(range), width_((range.high - range.low) / kBins), counts_(kBins) {
  scale_ = width_ > 0 ? 1 / width_ : 0;
}

void Histogram::add(const uint32_t* counts) {
  for (size_t bin = 0; bin < kBins; ++bin) counts_[bin] += counts[bin];
}

int64_t Histogram::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

ValueRange percentile_range(const Histogram& histogram, double percent) {
  const double outside = static_cast<double>(histogram.total()) * (1 - percent / 100) / 2;
  BinRange bins{0, Histogram::kBins};
  for (double left = outside; bins.first < bins.end; ++bins.first) {
    left -= static_cast<double>(histogram.count(bins.first));
    if (left < 0) break;
  }
  for (double left = outside; bins.end > bins.first; --bins.end) {
    left -= static_cast<double>(histogram.count(bins.end - 1));
    if (left < 0) break;
  }
  return values_of(histogram, bins);
}

ValueRange least_squares_range(const Histogram& histogram) {
  // Ends in steps of so many bins, of which 256 make the whole.
  constexpr int kStride = Histogram::kBins / 256;
  const Moments moments(histogram);
  const double total = moments.count[Histogram::kBins];
  ValueRange best = values_of(histogram, {0, Histogram::kBins});
  if (total == 0) return best;
  double least = std::numeric_limits<double>::infinity();
  for (int first = 0; first < Histogram::kBins; first += kStride) {
    for (int end = Histogram::kBins; end > first; end -= kStride) {
      const ValueRange range = values_of(histogram, {first, end});
      const double step = (double{range.high} - range.low) / kSteps;
      const auto low = static_cast<size_t>(first), high = static_cast<size_t>(end);
      const double error = (moments.count[high] - moments.count[low]) * step * step / 12 +
                           moments.distance(0, low, range.low) +
                           moments.distance(high, Histogram::kBins, range.high);
      if (error < least) least = error, best = range;
    }
  }
  return best;
}

InputScale input_scale(ValueRange range) {
  const double extent = double{range.high} - range.low;
  if (!(extent > 0)) return {};
  const float scale = std::clamp(static_cast<float>(extent / kSteps), kLeastScale, kGreatestScale);
  const double zero_point = std::nearbyint(-128 - double{range.low} / scale);
  return {scale, static_cast<int>(std::clamp(zero_point, -128.0, 127.0))};
}

}  // namespace asmlp
