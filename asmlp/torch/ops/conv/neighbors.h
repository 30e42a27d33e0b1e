// The loops of convolutions on plain arrays, single-threaded. T is float or double. A map is
// channels-last: its rows are pixels, `channels` values each, of all images one behind the other.
#pragma once

#include <cstdint>
#include <vector>

namespace asmlp::nn {

struct ConvMap {
  int64_t images, height, width, channels;
  int64_t kernel;  // odd
  int64_t rows() const { return images * height * width; }
  int64_t depth() const { return kernel * kernel * channels; }
};

// Some rows of a map in ascending order, or its first `count`.
struct RowSet {
  int64_t count;
  const int64_t* list = nullptr;
  int64_t operator[](int64_t i) const { return list != nullptr ? list[i] : i; }
};

// Rows [begin, end) of the set, of the matrix whose row for pixel (y, x) holds the pixels (y + i -
// kernel / 2, x + j - kernel / 2) for i in [first, last), j < kernel side by side, zeros outside of
// the image. It is in `buffer`, or for kernel 1 without a list the map itself.
template <typename T>
const T* neighbors(const ConvMap& map, const T* x, const RowSet& rows, int64_t begin, int64_t end,
                   int64_t first, int64_t last, std::vector<T>& buffer);

// x = max(x, 0); a NaN stays one.
template <typename T>
void relu(T* x, int64_t count);
// dz = dy where y, which is what relu() gave, is above 0 or NaN, else 0; y is null where there was
// no ReLU: nothing is written then. active[r]: whether row r of dz has a value that is not 0.
template <typename T>
void relu_backward(const T* y, const T* dy, T* dz, int64_t rows, int64_t channels, uint8_t* active);

}  // namespace asmlp::nn
