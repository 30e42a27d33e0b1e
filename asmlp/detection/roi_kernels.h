// The loops of RoIAlign, single-threaded, on plain arrays.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/detection/roi_samples.h"

namespace asmlp::detect {

// A row of channels, `offset` elements behind the first one, and how much it counts.
template <typename T>
struct Term {
  int64_t offset;
  T weight;
};

// Sets `terms` to those of one bin of a RoI, row by row, on a map of `width` cells a row whose
// cells are `stride` elements apart.
template <typename T>
void set_terms(const RoiSamples<T>& samples, int64_t bin_y, int64_t bin_x, int64_t width,
               int64_t stride, std::vector<Term<T>>& terms);

// out[c] = sum over the terms of weight * rows[offset + c] / divisor, in the order of the terms;
// all 0 without terms. T is float or double, and uses AVX-512 or AVX2 where the machine has it.
template <typename T>
void combine_rows(const T* rows, const Term<T>* terms, int64_t count, int64_t channels, T divisor,
                  T* out);
// out[c] += the same with a divisor of 1.
template <typename T>
void add_combined_rows(const T* rows, const Term<T>* terms, int64_t count, int64_t channels,
                       T* out);

// The bins of one RoI on one plane of S (T or uint8_t) with rows of `width` elements: `out` is
// bins x bins, row-major. `line` is scratch memory, resized as needed.
template <typename T, typename S>
void pool_plane(const S* plane, int64_t width, const RoiSamples<T>& samples, std::vector<T>& line,
                T* out);
// The adjoint: adds to `plane` what the gradient `d_out` of the bins makes of it.
template <typename T>
void spread_plane(const T* d_out, int64_t width, const RoiSamples<T>& samples, std::vector<T>& line,
                  T* plane);

}  // namespace asmlp::detect
