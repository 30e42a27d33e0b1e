// The loops over all parameters that end a step: single-threaded, on arrays, in one pass over
// memory, vectorized for the machine they run on.
#pragma once

#include <cstdint>

namespace asmlp::train {

// AdamW's factors of one step: with g = scale * gradient,
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
//   p = keep p - step_size m / (root_v_scale sqrt(v) + eps).
struct AdamWFactors {
  float scale, b1, b2, keep, step_size, root_v_scale, eps;
};
void adamw_range(const float* gradient, float* p, float* m, float* v, int64_t count,
                 const AdamWFactors& factors);

// The sum of squares, in double.
double sum_of_squares(const float* values, int64_t count);

// average = keep * average + add * value.
void average_range(const float* value, float* average, int64_t count, float keep, float add);

}  // namespace asmlp::train
