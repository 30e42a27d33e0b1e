#include "asmlp/torch/ops/conv/taps.h"

#include <algorithm>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::nn {
namespace {

// to += weight * from
template <typename T>
ASMLP_INLINE inline void add_row(const T* from, T weight, int64_t count, T* to) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
}

// body(tap, source, weight) for the taps of position `at` that lie inside, and their one or two
// sources.
template <typename T, typename Body>
ASMLP_INLINE inline void for_sources(const TapWeights<T>& axis, int64_t at, int64_t kernel,
                                     const Body& body) {
  const int64_t extent = static_cast<int64_t>(axis.low.size());
  for (int64_t tap = 0; tap < kernel; ++tap) {
    const int64_t from = at + tap - kernel / 2;
    if (from < 0 || from >= extent) continue;
    const auto i = static_cast<size_t>(from);
    if (axis.part[i] != 1) body(tap, axis.low[i], 1 - axis.part[i]);
    if (axis.part[i] != 0) body(tap, axis.high[i], axis.part[i]);
  }
}

}  // namespace

template <typename T>
TapWeights<T>::TapWeights(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
    const int64_t first = std::min(static_cast<int64_t>(at), in - 1);
    low.push_back(first);
    high.push_back(std::min(first + 1, in - 1));
    part.push_back(static_cast<T>(at - static_cast<double>(first)));
  }
}

// First the rows of the coarse map, all taps of a row of the kernel at once, then the columns.
template <typename T>
void add_taps_of_row(const TapMap& map, const TapWeights<T>& rows, const TapWeights<T>& columns,
                     const T* products, int64_t at, T* y, std::vector<T>& line) {
  const int64_t channels = map.channels, across = map.kernel * channels;
  line.assign(static_cast<size_t>(map.w * across), T(0));
  T* const sums = line.data();
  run_vectorized([&, sums]() ASMLP_INLINE {
    for_sources(rows, at, map.kernel, [&](int64_t tap, int64_t row, T weight) ASMLP_INLINE {
      const T* from = products + row * map.w * map.kernel * across + tap * across;
      for (int64_t x = 0; x < map.w; ++x) {
        add_row(from + x * map.kernel * across, weight, across, sums + x * across);
      }
    });
    std::fill_n(y, map.width * channels, T(0));
    for (int64_t x = 0; x < map.width; ++x) {
      for_sources(columns, x, map.kernel, [&](int64_t tap, int64_t column, T weight) ASMLP_INLINE {
        add_row(sums + column * across + tap * channels, weight, channels, y + x * channels);
      });
    }
  });
}

template <typename T>
void spread_taps(const TapMap& map, const TapWeights<T>& rows, const TapWeights<T>& columns,
                 const T* dy, int64_t first, int64_t last, T* d, std::vector<T>& line) {
  const int64_t channels = map.channels, across = map.kernel * channels;
  line.resize(static_cast<size_t>(map.w * across));
  T* const sums = line.data();
  run_vectorized([&, sums]() ASMLP_INLINE {
    std::fill_n(d, (last - first) * map.w * map.kernel * across, T(0));
    for (int64_t at = 0; at < map.height; ++at) {
      bool used = false;
      for_sources(rows, at, map.kernel, [&](int64_t, int64_t row, T) ASMLP_INLINE {
        used = used || (row >= first && row < last);
      });
      if (!used) continue;
      std::fill_n(sums, map.w * across, T(0));
      for (int64_t x = 0; x < map.width; ++x) {
        const T* from = dy + (at * map.width + x) * channels;
        for_sources(columns, x, map.kernel,
                    [&](int64_t tap, int64_t column, T weight) ASMLP_INLINE {
                      add_row(from, weight, channels, sums + column * across + tap * channels);
                    });
      }
      for_sources(rows, at, map.kernel, [&](int64_t tap, int64_t row, T weight) ASMLP_INLINE {
        if (row < first || row >= last) return;
        T* to = d + (row - first) * map.w * map.kernel * across + tap * across;
        for (int64_t x = 0; x < map.w; ++x) {
          add_row(sums + x * across, weight, across, to + x * map.kernel * across);
        }
      });
    }
  });
}

#define ASMLP_INSTANTIATE(T)                                                                  \
  template struct TapWeights<T>;                                                              \
  template void add_taps_of_row<T>(const TapMap&, const TapWeights<T>&, const TapWeights<T>&, \
                                   const T*, int64_t, T*, std::vector<T>&);                   \
  template void spread_taps<T>(const TapMap&, const TapWeights<T>&, const TapWeights<T>&,     \
                               const T*, int64_t, int64_t, T*, std::vector<T>&);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)
#undef ASMLP_INSTANTIATE

}  // namespace asmlp::nn
