// Sums over the pixels of a map, in double and in an order that depends on the map alone.
#pragma once

#include <cstdint>

#include "asmlp/kernels/gather.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {

// Mean and 1 / sqrt(variance + eps) of an image's `count` pixels of `channels` values each, from
// the pixels' own statistics, and of `zeros` further values that are zero (the padded canvas of a
// patch merging). M2 of the whole = sum of the M2 + sum of channels * (mean of the pixel - mean)^2.
ImageNorm merge_stats(const RowStats* rows, int64_t count, int channels, int64_t zeros);

// mean[c] of `count` dense rows of `channels` values.
void mean_of_rows(const float* rows, int64_t count, int64_t channels, float* mean);

}  // namespace asmlp
