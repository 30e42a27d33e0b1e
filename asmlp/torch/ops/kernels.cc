#include "asmlp/torch/ops/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::nn {
namespace {

ASMLP_INLINE inline float widen(float x) { return x; }
ASMLP_INLINE inline double widen(double x) { return x; }
ASMLP_INLINE inline float widen(Bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}
// To the nearest, ties to even; NaN stays NaN.
template <typename S>
ASMLP_INLINE inline S narrow(Arithmetic<S> x) {
  if constexpr (std::is_same_v<S, Bf16>) {
    const auto bits = std::bit_cast<uint32_t>(x);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return {
        static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded)};
  } else {
    return x;
  }
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

// The normal density is this times the bell.
template <typename T>
constexpr T kBellFactor = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;

template <typename T>
ASMLP_INLINE inline T gelu_slope(T z) {
  const auto [below, bell] = normal(z);
  return below + z * bell * kBellFactor<T>;
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
void gelu(const T* z, T* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = gelu_value(z[i]);
  });
}

template <typename T>
void add_gelu(const T* z, T* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] += gelu_value(z[i]);
  });
}

template <typename T>
void gelu_backward(const T* z, const T* dy, T* dz, T* y, int64_t pixels, int64_t channels,
                   T* sums) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t p = 0; p < pixels; ++p) {
      const T* in = z + p * channels;
      const T* d_out = dy + p * channels;
      T* d_in = dz + p * channels;
      if (y == nullptr) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T gradient = d_out[c] * gelu_slope(in[c]);
          d_in[c] = gradient;
          sums[c] += gradient;
        }
      } else {
        T* out = y + p * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const auto [below, bell] = normal(in[c]);
          out[c] = in[c] * below;
          const T gradient = d_out[c] * (below + in[c] * bell * kBellFactor<T>);
          d_in[c] = gradient;
          sums[c] += gradient;
        }
      }
    }
  });
}

template <typename T>
void add_columns(const T* values, int64_t pixels, int64_t channels, T* sums) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t p = 0; p < pixels; ++p) {
      const T* row = values + p * channels;
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) sums[c] += row[c];
    }
  });
}

template <typename S>
void add_scaled(const S* x, const S* branch, Arithmetic<S> factor, S* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = narrow<S>(widen(x[i]) + factor * widen(branch[i]));
  });
}

template <typename S>
void scale(const S* x, Arithmetic<S> factor, S* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = narrow<S>(factor * widen(x[i]));
  });
}

template <typename S>
Moments<Arithmetic<S>> moments(const S* x, int64_t count, double eps) {
  using T = Arithmetic<S>;
  Moments<T> result{};
  run_vectorized([=, &result]() ASMLP_INLINE {
    const T mean =
        static_cast<T>(sum<T>(count, [=](int64_t i) ASMLP_INLINE { return widen(x[i]); }) /
                       static_cast<double>(count));
    const double squares = sum<T>(count, [=](int64_t i) ASMLP_INLINE {
      const T d = widen(x[i]) - mean;
      return d * d;
    });
    result = {mean, static_cast<T>(1 / std::sqrt(squares / static_cast<double>(count) + eps))};
  });
  return result;
}

template <typename S>
void normalize(const S* x, S* y, int64_t pixels, int64_t channels, Moments<Arithmetic<S>> moments,
               const Arithmetic<S>* gamma, const Arithmetic<S>* beta, Activation activation) {
  const auto [mean, scale] = moments;
  run_vectorized([=, mean = mean, scale = scale]() ASMLP_INLINE {
    for (int64_t p = 0; p < pixels; ++p) {
      const S* in = x + p * channels;
      S* out = y + p * channels;
      if (activation == Activation::kGelu) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          out[c] = narrow<S>(gelu_value((widen(in[c]) - mean) * scale * gamma[c] + beta[c]));
        }
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          out[c] = narrow<S>((widen(in[c]) - mean) * scale * gamma[c] + beta[c]);
        }
      }
    }
  });
}

// With n = (x - mean) scale, u = n gamma + beta and du = dy activation'(u):
//   d_gamma = sum du n,  d_beta = sum du  (over pixels)
//   dx = scale (du gamma - (sum_c gamma d_beta + n sum_c gamma d_gamma) / count).
template <typename S>
void normalize_backward(const S* x, const S* dy, S* dx, int64_t pixels, int64_t channels,
                        Moments<Arithmetic<S>> moments, const Arithmetic<S>* gamma,
                        const Arithmetic<S>* beta, Activation activation, const S* d_past,
                        Arithmetic<S>* d_gamma, Arithmetic<S>* d_beta) {
  using T = Arithmetic<S>;
  const auto [mean, scale] = moments;
  run_vectorized([=, mean = mean, scale = scale]() ASMLP_INLINE {
    std::fill_n(d_gamma, channels, T(0));
    std::fill_n(d_beta, channels, T(0));
    for (int64_t p = 0; p < pixels; ++p) {
      const S* in = x + p * channels;
      const S* d_out = dy + p * channels;
      if (activation == Activation::kGelu) {
        S* kept = dx + p * channels;  // dx holds du until the sums are complete
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T n = (widen(in[c]) - mean) * scale;
          const T du = widen(d_out[c]) * gelu_slope(n * gamma[c] + beta[c]);
          kept[c] = narrow<S>(du);
          d_gamma[c] += du * n;
          d_beta[c] += du;
        }
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T du = widen(d_out[c]);
          d_gamma[c] += du * (widen(in[c]) - mean) * scale;
          d_beta[c] += du;
        }
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
    const S* known = activation == Activation::kGelu ? dx : dy;  // du
    for (int64_t p = 0; p < pixels; ++p) {
      const S *in = x + p * channels, *du = known + p * channels;
      S* gradient = dx + p * channels;
      const auto value = [=](int64_t c) ASMLP_INLINE {
        return scale *
               (widen(du[c]) * gamma[c] - level_mean - (widen(in[c]) - mean) * scale * slope_mean);
      };
      if (d_past == nullptr) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) gradient[c] = narrow<S>(value(c));
      } else {
        const S* past = d_past + p * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) gradient[c] = narrow<S>(widen(past[c]) + value(c));
      }
    }
  });
}

#define ASMLP_INSTANTIATE(T)                                                        \
  template void gelu<T>(const T*, T*, int64_t);                                     \
  template void add_gelu<T>(const T*, T*, int64_t);                                 \
  template void gelu_backward<T>(const T*, const T*, T*, T*, int64_t, int64_t, T*); \
  template void add_columns<T>(const T*, int64_t, int64_t, T*);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)

#define ASMLP_INSTANTIATE_STORED(S)                                                           \
  template void add_scaled<S>(const S*, const S*, Arithmetic<S>, S*, int64_t);                \
  template void scale<S>(const S*, Arithmetic<S>, S*, int64_t);                               \
  template Moments<Arithmetic<S>> moments<S>(const S*, int64_t, double);                      \
  template void normalize<S>(const S*, S*, int64_t, int64_t, Moments<Arithmetic<S>>,          \
                             const Arithmetic<S>*, const Arithmetic<S>*, Activation);         \
  template void normalize_backward<S>(                                                        \
      const S*, const S*, S*, int64_t, int64_t, Moments<Arithmetic<S>>, const Arithmetic<S>*, \
      const Arithmetic<S>*, Activation, const S*, Arithmetic<S>*, Arithmetic<S>*);
ASMLP_INSTANTIATE_STORED(float)
ASMLP_INSTANTIATE_STORED(double)
ASMLP_INSTANTIATE_STORED(Bf16)

}  // namespace asmlp::nn
