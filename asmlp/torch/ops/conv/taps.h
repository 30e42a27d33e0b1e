// The loops of add_taps (levels.h) on plain arrays, single-threaded. T is float or double. Maps are
// channels-last; a pixel of the coarse map has kernel x kernel taps of `channels` values.
#pragma once

#include <cstdint>
#include <vector>

namespace asmlp::nn {

struct TapMap {
  int64_t h, w;           // of the coarse map
  int64_t height, width;  // of the fine one
  int64_t channels, kernel;
};

// Where the positions of a resized axis come from: (1 - part) of `low` and part of `high`; corners
// not aligned.
template <typename T>
struct TapWeights {
  TapWeights(int64_t in, int64_t out);
  std::vector<int64_t> low, high;
  std::vector<T> part;
};

// y (width x channels) = row `at` of the fine map from the products of an image. `line` is scratch
// memory.
template <typename T>
void add_taps_of_row(const TapMap& map, const TapWeights<T>& rows, const TapWeights<T>& columns,
                     const T* products, int64_t at, T* y, std::vector<T>& line);

// The adjoint: d = rows [first, last) of the gradient of the products from dy of the whole image.
template <typename T>
void spread_taps(const TapMap& map, const TapWeights<T>& rows, const TapWeights<T>& columns,
                 const T* dy, int64_t first, int64_t last, T* d, std::vector<T>& line);

}  // namespace asmlp::nn
