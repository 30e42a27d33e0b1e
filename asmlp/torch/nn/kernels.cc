#include "asmlp/torch/nn/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "asmlp/core/cpu.h"

// Every loop below is written once, in a lambda that is inlined into a copy of run() compiled for
// AVX2 and into one for the baseline; the compiler vectorises both. (A conditional expression
// becomes a blend: there is no branch in the inner loops.)
#define ASMLP_INLINE __attribute__((always_inline))

namespace asmlp::nn {
namespace {

template <typename Body>
__attribute__((target("avx2,fma"))) void run_avx2(const Body& body) {
  body();
}

template <typename Body>
void run(const Body& body) {
#if defined(__x86_64__)
  static const bool avx2 = default_isa() >= Isa::kAvx2;
  if (avx2) return run_avx2(body);
#endif
  body();
}

// exp(x) for x <= 0, relative error 2e-7; below -87 the result stays at exp(-87).
ASMLP_INLINE inline float exp_negative(float x) {
  x = x < -87.0f ? -87.0f : x;
  // Adding 1.5 * 2^23 rounds x / ln 2 to an integer n, which then stands in the low mantissa bits.
  const float shifted = x * std::numbers::log2e_v<float> + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // x - n ln 2 in two steps
  float p = 1.0f / 720;                                         // Taylor's series: |r| <= ln 2 / 2
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + (std::bit_cast<int32_t>(shifted) << 23));
}

// The normal distribution function at z and exp(-z^2 / 2), which come together.
template <typename T>
struct Normal {
  T below;
  T bell;
};

ASMLP_INLINE inline Normal<float> normal(float z) {
  // Abramowitz and Stegun 7.1.26 for erfc(|z| / sqrt 2).
  const float bell = exp_negative(-0.5f * z * z);
  const float t = 1.0f / (1.0f + 0.3275911f * std::numbers::sqrt2_v<float> / 2 * std::fabs(z));
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * bell;
  return {z > 0 ? 1.0f - tail : tail, bell};
}

ASMLP_INLINE inline Normal<double> normal(double z) {
  return {0.5 * std::erfc(-z * std::numbers::sqrt2 / 2), std::exp(-0.5 * z * z)};
}

template <typename T>
ASMLP_INLINE inline T gelu_value(T z) {
  return z * normal(z).below;
}

template <typename T>
ASMLP_INLINE inline T gelu_slope(T z) {
  constexpr T kInverseRoot = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
  const auto [below, bell] = normal(z);
  return below + z * bell * kInverseRoot;
}

// Sum of value(i) over [0, count): 32 running sums that fit in registers, emptied into a double
// every few thousand elements so that the error does not grow with the image.
template <typename T, typename Value>
ASMLP_INLINE inline double sum(int64_t count, const Value& value) {
  constexpr int64_t kLanes = 32, kBlock = 4096;
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    T lanes[kLanes] = {};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += value(i + lane);
    }
    for (; i < end; ++i) lanes[0] += value(i);
    for (T lane : lanes) total += lane;
  }
  return total;
}

}  // namespace

template <typename T>
void fill_pixels(T* z, int64_t pixels, int64_t channels, const T* bias) {
  if (bias == nullptr) {
    std::fill_n(z, pixels * channels, T(0));
    return;
  }
  for (int64_t p = 0; p < pixels; ++p) std::copy_n(bias, channels, z + p * channels);
}

template <typename T>
void gelu(const T* z, T* y, int64_t count) {
  run([=]() ASMLP_INLINE {
    for (int64_t i = 0; i < count; ++i) y[i] = gelu_value(z[i]);
  });
}

template <typename T>
void gelu_backward(const T* z, const T* dy, T* dz, int64_t count) {
  run([=]() ASMLP_INLINE {
    for (int64_t i = 0; i < count; ++i) dz[i] = dy[i] * gelu_slope(z[i]);
  });
}

template <typename T>
void add_columns(const T* values, int64_t pixels, int64_t channels, T* sums) {
  run([=]() ASMLP_INLINE {
    for (int64_t p = 0; p < pixels; ++p) {
      const T* row = values + p * channels;
      for (int64_t c = 0; c < channels; ++c) sums[c] += row[c];
    }
  });
}

template <typename T>
Moments<T> moments(const T* x, int64_t count, double eps) {
  Moments<T> result{};
  run([=, &result]() ASMLP_INLINE {
    const T mean = static_cast<T>(sum<T>(count, [=](int64_t i) ASMLP_INLINE { return x[i]; }) /
                                  static_cast<double>(count));
    const double squares = sum<T>(count, [=](int64_t i) ASMLP_INLINE {
      const T d = x[i] - mean;
      return d * d;
    });
    result = {mean, static_cast<T>(1 / std::sqrt(squares / static_cast<double>(count) + eps))};
  });
  return result;
}

template <typename T>
void normalize(const T* x, T* y, int64_t pixels, int64_t channels, Moments<T> moments,
               const T* gamma, const T* beta, Activation activation) {
  const auto [mean, scale] = moments;
  run([=, mean = mean, scale = scale]() ASMLP_INLINE {
    for (int64_t p = 0; p < pixels; ++p) {
      const T* in = x + p * channels;
      T* out = y + p * channels;
      if (activation == Activation::kGelu) {
        for (int64_t c = 0; c < channels; ++c) {
          out[c] = gelu_value((in[c] - mean) * scale * gamma[c] + beta[c]);
        }
      } else {
        for (int64_t c = 0; c < channels; ++c) {
          out[c] = (in[c] - mean) * scale * gamma[c] + beta[c];
        }
      }
    }
  });
}

// With n = (x - mean) scale, u = n gamma + beta and du = dy activation'(u):
//   d_gamma = sum du n,  d_beta = sum du  (over pixels)
//   dx = scale (du gamma - (sum_c gamma d_beta + n sum_c gamma d_gamma) / count).
template <typename T>
void normalize_backward(const T* x, const T* dy, T* dx, int64_t pixels, int64_t channels,
                        Moments<T> moments, const T* gamma, const T* beta, Activation activation,
                        T* d_gamma, T* d_beta) {
  const auto [mean, scale] = moments;
  run([=, mean = mean, scale = scale]() ASMLP_INLINE {
    std::fill_n(d_gamma, channels, T(0));
    std::fill_n(d_beta, channels, T(0));
    for (int64_t p = 0; p < pixels; ++p) {
      const T* in = x + p * channels;
      const T* out_gradient = dy + p * channels;
      T* du = dx + p * channels;  // dx holds du until the sums are complete
      if (activation == Activation::kGelu) {
        for (int64_t c = 0; c < channels; ++c) {
          du[c] = out_gradient[c] * gelu_slope((in[c] - mean) * scale * gamma[c] + beta[c]);
        }
      } else {
        std::copy_n(out_gradient, channels, du);
      }
      for (int64_t c = 0; c < channels; ++c) {
        d_gamma[c] += du[c] * (in[c] - mean) * scale;
        d_beta[c] += du[c];
      }
    }
    double slope = 0, level = 0;
    for (int64_t c = 0; c < channels; ++c) {
      slope += double{gamma[c]} * d_gamma[c];
      level += double{gamma[c]} * d_beta[c];
    }
    const double count = static_cast<double>(pixels) * static_cast<double>(channels);
    const T slope_mean = static_cast<T>(slope / count);
    const T level_mean = static_cast<T>(level / count);
    for (int64_t p = 0; p < pixels; ++p) {
      const T* in = x + p * channels;
      T* gradient = dx + p * channels;
      for (int64_t c = 0; c < channels; ++c) {
        gradient[c] =
            scale * (gradient[c] * gamma[c] - level_mean - (in[c] - mean) * scale * slope_mean);
      }
    }
  });
}

#define ASMLP_INSTANTIATE(T)                                                                 \
  template void fill_pixels<T>(T*, int64_t, int64_t, const T*);                              \
  template void gelu<T>(const T*, T*, int64_t);                                              \
  template void gelu_backward<T>(const T*, const T*, T*, int64_t);                           \
  template void add_columns<T>(const T*, int64_t, int64_t, T*);                              \
  template Moments<T> moments<T>(const T*, int64_t, double);                                 \
  template void normalize<T>(const T*, T*, int64_t, int64_t, Moments<T>, const T*, const T*, \
                             Activation);                                                    \
  template void normalize_backward<T>(const T*, const T*, T*, int64_t, int64_t, Moments<T>,  \
                                      const T*, const T*, Activation, T*, T*);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)

}  // namespace asmlp::nn
