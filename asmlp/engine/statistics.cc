#include "asmlp/engine/statistics.h"

#include <algorithm>
#include <cmath>

#include "asmlp/model/config.h"

namespace asmlp {
namespace {

// Sum of f(0) .. f(count - 1), in four chains because one would wait for every addition.
template <typename Function>
double sum_of(int64_t count, Function f) {
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int lane = 0; lane < 4; ++lane) sums[lane] += f(i + lane);
  }
  for (; i < count; ++i) sums[0] += f(i);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

ImageNorm merge_stats(const RowStats* rows, int64_t count, int channels, int64_t zeros) {
  const double sum = sum_of(count, [&](int64_t i) { return double{rows[i].sum}; });
  const double within = sum_of(count, [&](int64_t i) { return double{rows[i].m2}; });
  const double n = static_cast<double>(count) * channels + static_cast<double>(zeros);
  const double mean = sum / n, scale = 1.0 / channels;
  const double between = sum_of(count, [&](int64_t i) {
    const double difference = rows[i].sum * scale - mean;
    return difference * difference;
  });
  const double m2 = within + between * channels + static_cast<double>(zeros) * mean * mean;
  return {static_cast<float>(mean), static_cast<float>(1.0 / std::sqrt(m2 / n + kNormEps))};
}

void mean_of_rows(const float* rows, int64_t count, int64_t channels, float* mean) {
  constexpr int64_t kColumns =
      64;  // at a time: the sums stay in registers or L1, reads are whole lines
  for (int64_t begin = 0; begin < channels; begin += kColumns) {
    const int64_t columns = std::min(kColumns, channels - begin);
    double sums[kColumns] = {};
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t c = 0; c < columns; ++c) sums[c] += rows[r * channels + begin + c];
    }
    for (int64_t c = 0; c < columns; ++c) {
      mean[begin + c] = static_cast<float>(sums[c] / static_cast<double>(count));
    }
  }
}

}  // namespace asmlp
