#include "asmlp/detection/roi_samples.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::detect {
namespace {

// A longer axis would cost more samples than anybody can want (and overflow in the end).
constexpr double kMostCells = 1 << 22;

// The two cells that a sample lies between, and its distance from the lower.
template <typename T>
struct Sample {
  int64_t low, high;
  T fraction;
};

// Whether the sample counts at all.
template <typename T>
bool place(T position, int64_t cells, Sample<T>& sample) {
  if (position < -1 || position > static_cast<T>(cells)) return false;
  position = std::max(position, T(0));
  sample.low = static_cast<int64_t>(position);
  if (sample.low >= cells - 1) {
    sample = {cells - 1, cells - 1, T(0)};
  } else {
    sample.high = sample.low + 1;
    sample.fraction = position - static_cast<T>(sample.low);
  }
  return true;
}

template <typename T>
struct Axis {
  T start, bin;
  int64_t grid;
  int64_t cells;
};

template <typename T>
Axis<T> axis_of(T from, T to, T scale, int64_t bins, int64_t sampling_ratio, int64_t cells) {
  const T start = from * scale - T(0.5), end = to * scale - T(0.5);
  const T length = end - start;
  require(std::isfinite(start) && std::isfinite(end) && std::abs(length) <= T(kMostCells),
          ErrorCode::kInvalidArgument,
          "roi_align: a RoI reaches from {} to {} pixels, must be finite and below {} cells; did "
          "the training diverge?",
          from, to, kMostCells);
  const T parts = static_cast<T>(bins);
  const auto grid =
      sampling_ratio > 0 ? sampling_ratio : static_cast<int64_t>(std::ceil(length / parts));
  return {start, length / parts, std::max<int64_t>(grid, 0), cells};
}

template <typename T>
void set_band(const Axis<T>& axis, int64_t bins, Band<T>& band) {
  band.clear();
  for (int64_t bin = 0; bin < bins; ++bin) {
    const T start = axis.start + static_cast<T>(bin) * axis.bin;
    const auto position = [&](int64_t i) {
      return start + (static_cast<T>(i) + T(0.5)) * axis.bin / static_cast<T>(axis.grid);
    };
    Sample<T> sample{};
    int64_t low = axis.cells, high = -1;
    for (int64_t i = 0; i < axis.grid; ++i) {
      if (!place(position(i), axis.cells, sample)) continue;
      low = std::min(low, sample.low), high = std::max(high, sample.high);
    }
    if (high < low) {
      band.append(0, 0);
      continue;
    }
    T* row = band.append(low, high + 1 - low);
    for (int64_t i = 0; i < axis.grid; ++i) {
      if (!place(position(i), axis.cells, sample)) continue;
      row[sample.low - low] += 1 - sample.fraction;
      row[sample.high - low] += sample.fraction;
    }
  }
}

}  // namespace

template <typename T>
void Band<T>::reserve(int64_t rows, int64_t most_weights) {
  first.reserve(static_cast<size_t>(rows));
  begin.reserve(static_cast<size_t>(rows) + 1);
  weights.reserve(static_cast<size_t>(most_weights));
}

template <typename T>
void Band<T>::clear() {
  origin = 0;
  first.clear();
  begin.assign(1, 0);
  weights.clear();
}

template <typename T>
T* Band<T>::append(int64_t first_column, int64_t count) {
  const size_t before = weights.size();
  first.push_back(static_cast<int32_t>(first_column));
  weights.resize(before + static_cast<size_t>(count), T(0));
  begin.push_back(static_cast<int32_t>(weights.size()));
  return weights.data() + before;
}

template <typename T>
Band<T> transposed(const Band<T>& band) {
  int64_t low = INT32_MAX, high = 0;  // the columns [low, high) are used
  for (int64_t i = 0; i < band.rows(); ++i) {
    const auto row = band.row(band.origin + i);
    if (row.count == 0) continue;
    low = std::min(low, row.first), high = std::max(high, row.first + row.count);
  }
  Band<T> result;
  result.origin = low;
  std::vector<T> weights;
  for (int64_t column = low; column < high; ++column) {
    weights.clear();
    int64_t first = 0;
    // Bins follow one another, so those that use a column do too.
    for (int64_t i = 0; i < band.rows(); ++i) {
      const auto row = band.row(band.origin + i);
      if (column < row.first || column >= row.first + row.count) continue;
      if (weights.empty()) first = band.origin + i;
      weights.push_back(row.weights[column - row.first]);
    }
    std::ranges::copy(weights, result.append(first, static_cast<int64_t>(weights.size())));
  }
  return result;
}

// Of neighboring bins two columns at most are the same.
template <typename T>
void RoiSamples<T>::reserve(int64_t cells, int64_t bins) {
  y.reserve(bins, cells + 2 * bins), x.reserve(bins, cells + 2 * bins);
}

template <typename T>
void sample_roi(const T* box, T scale, const RoiGrid& grid, int64_t cells_y, int64_t cells_x,
                RoiSamples<T>& out) {
  const auto x = axis_of(box[0], box[2], scale, grid.width, grid.sampling_ratio, cells_x);
  const auto y = axis_of(box[1], box[3], scale, grid.height, grid.sampling_ratio, cells_y);
  if (x.grid * y.grid == 0) {  // not a single sample
    set_band(Axis<T>{0, 0, 0, cells_y}, grid.height, out.y);
    set_band(Axis<T>{0, 0, 0, cells_x}, grid.width, out.x);
    out.divisor = 1;
    return;
  }
  set_band(y, grid.height, out.y);
  set_band(x, grid.width, out.x);
  out.divisor = static_cast<T>(x.grid) * static_cast<T>(y.grid);
}

#define ASMLP_INSTANTIATE(T)                              \
  template struct Band<T>;                                \
  template void RoiSamples<T>::reserve(int64_t, int64_t); \
  template Band<T> transposed(const Band<T>&);            \
  template void sample_roi(const T*, T, const RoiGrid&, int64_t, int64_t, RoiSamples<T>&);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)
#undef ASMLP_INSTANTIATE

}  // namespace asmlp::detect
