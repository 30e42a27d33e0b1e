#include "asmlp/torch/optim/update_kernels.h"

#include <cmath>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::train {

void adamw_range(const float* gradient, float* p, float* m, float* v, int64_t count,
                 const AdamWFactors& factors) {
  const auto [scale, b1, b2, keep, step_size, root_v_scale, eps] = factors;
  run_vectorized([=, scale = scale, b1 = b1, b2 = b2, keep = keep, step_size = step_size,
                  root_v_scale = root_v_scale, eps = eps]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) {
      const float g = gradient[i] * scale;
      m[i] = b1 * m[i] + (1 - b1) * g;
      v[i] = b2 * v[i] + (1 - b2) * g * g;
      p[i] = p[i] * keep - step_size * m[i] / (std::sqrt(v[i]) * root_v_scale + eps);
    }
  });
}

double sum_of_squares(const float* values, int64_t count) {
  constexpr int64_t kLanes = 16;
  double total = 0;
  run_vectorized([=, &total]() ASMLP_INLINE {
    double lanes[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const auto x = static_cast<double>(values[i + lane]);
        lanes[lane] += x * x;
      }
    }
    for (int64_t lane = 0; i + lane < count; ++lane) {
      const auto x = static_cast<double>(values[i + lane]);
      lanes[lane] += x * x;
    }
    for (double lane : lanes) total += lane;
  });
  return total;
}

void average_range(const float* value, float* average, int64_t count, float keep, float add) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) average[i] = keep * average[i] + add * value[i];
  });
}

}  // namespace asmlp::train
