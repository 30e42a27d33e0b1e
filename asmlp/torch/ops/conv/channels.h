// The loops of batch norms on plain arrays, single-threaded: `rows` pixels of `channels` values. T
// is float or double; sums are double.
#pragma once

#include <cstdint>

namespace asmlp::nn {

// sums[c] += the sum of column c, sums[channels + c] += that of its squares.
template <typename T>
void add_moments(const T* x, int64_t rows, int64_t channels, double* sums);

// y = scale[c] x + shift[c], with `relu` max(that, 0).
template <typename T>
void scale_channels(const T* x, int64_t rows, int64_t channels, const T* scale, const T* shift,
                    bool relu, T* y);

// With g = dy, or, where y (not null, what scale_channels gave with `relu`) is 0, g = 0:
// sums[c] += the sum of g, sums[channels + c] += that of g (x - mean[c]).
template <typename T>
void add_gradient_sums(const T* x, const T* y, const T* dy, int64_t rows, int64_t channels,
                       const T* mean, double* sums);

// dx = of_g[c] g + of_x[c] (x - mean[c]) + constant[c].
template <typename T>
void combine_gradients(const T* x, const T* y, const T* dy, int64_t rows, int64_t channels,
                       const T* mean, const T* of_g, const T* of_x, const T* constant, T* dx);

}  // namespace asmlp::nn
