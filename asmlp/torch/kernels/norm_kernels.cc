#include <cmath>

#include "asmlp/torch/kernels/elements-inl.h"
#include "asmlp/torch/kernels/kernels.h"

namespace asmlp::nn {
namespace {

// Sum of value(c) over a row, in 16 running sums that become one as a tree.
template <typename T, typename Value>
ASMLP_INLINE inline T row_sum(int64_t channels, const Value& value) {
  constexpr int64_t kLanes = 16;
  T lanes[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += value(c + lane);
  }
  for (int64_t lane = 0; c + lane < channels; ++lane) lanes[lane] += value(c + lane);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

template <typename S>
ASMLP_INLINE inline RowMoments<Arithmetic<S>> moments_of_row(const S* x, int64_t channels) {
  using T = Arithmetic<S>;
  const T sum = row_sum<T>(channels, [=](int64_t c) ASMLP_INLINE { return widen(x[c]); });
  const T mean = sum / static_cast<T>(channels);
  const T m2 = row_sum<T>(channels, [=](int64_t c) ASMLP_INLINE {
    const T d = widen(x[c]) - mean;
    return d * d;
  });
  return {sum, m2};
}

}  // namespace

template <typename S>
void row_moments(const S* x, int64_t rows, int64_t channels, RowMoments<Arithmetic<S>>* moments) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; ++r) moments[r] = moments_of_row(x + r * channels, channels);
  });
}

// With s the sums of the rows and m their mean: the squares of all are those within the rows, plus
// channels (s / channels - m)^2 for each.
template <typename T>
Moments<T> image_moments(const RowMoments<T>* moments, int64_t rows, int64_t channels, double eps) {
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) sum += double{moments[r].sum};
  const auto count = static_cast<double>(rows * channels), width = static_cast<double>(channels);
  const double mean = sum / count;
  double squares = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const double d = double{moments[r].sum} / width - mean;
    squares += double{moments[r].m2} + width * d * d;
  }
  return {static_cast<T>(mean), static_cast<T>(1 / std::sqrt(squares / count + eps))};
}

template <typename S, typename Y>
void normalize(const S* x, Y* y, int64_t rows, int64_t channels, Moments<Arithmetic<S>> moments,
               NormParameters<Arithmetic<S>> norm, Activation activation) {
  const auto [mean, scale] = moments;
  const auto [gamma, beta] = norm;
  run_vectorized([=, mean = mean, scale = scale, gamma = gamma, beta = beta]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; ++r) {
      const S* in = x + r * channels;
      Y* out = y + r * channels;
      if (activation == Activation::kGelu) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          out[c] = narrow<Y>(gelu_value((widen(in[c]) - mean) * scale * gamma[c] + beta[c]));
        }
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          out[c] = narrow<Y>((widen(in[c]) - mean) * scale * gamma[c] + beta[c]);
        }
      }
    }
  });
}

template <typename S>
void norm_sums(const S* x, const Arithmetic<S>* dy, S* du, int64_t rows, int64_t channels,
               Moments<Arithmetic<S>> moments, NormParameters<Arithmetic<S>> norm,
               Activation activation, NormSums<Arithmetic<S>> sums) {
  using T = Arithmetic<S>;
  const auto [mean, scale] = moments;
  const auto [gamma, beta] = norm;
  const auto [d_gamma, d_beta] = sums;
  run_vectorized([=, mean = mean, scale = scale, gamma = gamma, beta = beta, d_gamma = d_gamma,
                  d_beta = d_beta]() ASMLP_INLINE {
    if (activation == Activation::kGelu) {
      for (int64_t r = 0; r < rows; ++r) {
        const S* in = x + r * channels;
        const T* d_out = dy + r * channels;
        S* kept = du + r * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T n = (widen(in[c]) - mean) * scale;
          const T gradient = d_out[c] * gelu_slope(n * gamma[c] + beta[c]);
          kept[c] = narrow<S>(gradient);
          d_gamma[c] += gradient * n;
          d_beta[c] += gradient;
        }
      }
      return;
    }
    const bool stores = static_cast<const void*>(dy) != static_cast<const void*>(du);
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
      const S* in = x + r * channels;
      const T* d_out = dy + r * channels;
      S* kept = du + r * channels;
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) {
        T gradient[4], n[4];
        for (int64_t q = 0; q < 4; ++q) gradient[q] = d_out[q * channels + c];
        for (int64_t q = 0; q < 4; ++q) n[q] = widen(in[q * channels + c]) - mean;
        d_beta[c] += (gradient[0] + gradient[1]) + (gradient[2] + gradient[3]);
        d_gamma[c] += scale * ((gradient[0] * n[0] + gradient[1] * n[1]) +
                               (gradient[2] * n[2] + gradient[3] * n[3]));
      }
      if (!stores) continue;
#pragma GCC ivdep
      for (int64_t i = 0; i < 4 * channels; ++i) kept[i] = narrow<S>(d_out[i]);
    }
    for (; r < rows; ++r) {
#pragma GCC ivdep
      for (int64_t i = r * channels; i < (r + 1) * channels; ++i) {
        const int64_t c = i - r * channels;
        d_beta[c] += dy[i];
        d_gamma[c] += scale * (dy[i] * (widen(x[i]) - mean));
        du[i] = narrow<S>(dy[i]);
      }
    }
  });
}

template <typename T>
NormMeans<T> norm_means(NormSums<T> sums, const T* gamma, int64_t channels, int64_t count) {
  double slope = 0, level = 0;
  for (int64_t c = 0; c < channels; ++c) {
    slope += double{gamma[c]} * sums.gamma[c];
    level += double{gamma[c]} * sums.beta[c];
  }
  return {static_cast<T>(level / static_cast<double>(count)),
          static_cast<T>(slope / static_cast<double>(count))};
}

template <typename S, typename Y>
void norm_gradient(const S* x, const S* du, const S* past, Y* dx, int64_t rows, int64_t channels,
                   Moments<Arithmetic<S>> moments, const Arithmetic<S>* gamma,
                   NormMeans<Arithmetic<S>> means) {
  const auto [mean, scale] = moments;
  const auto [level, slope] = means;
  run_vectorized([=, mean = mean, scale = scale, level = level, slope = slope]() ASMLP_INLINE {
    const auto slope_scale = slope * scale;
    for (int64_t r = 0; r < rows; ++r) {
      const S *in = x + r * channels, *d_out = du + r * channels;
      Y* out = dx + r * channels;
      const auto value = [=](int64_t c) ASMLP_INLINE {
        return scale * (widen(d_out[c]) * gamma[c] - level - (widen(in[c]) - mean) * slope_scale);
      };
      if (past == nullptr) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) out[c] = narrow<Y>(value(c));
      } else {
        const S* before = past + r * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) out[c] = narrow<Y>(widen(before[c]) + value(c));
      }
    }
  });
}

template <typename S>
void store_rows(const Arithmetic<S>* c, S* z, int64_t rows, int64_t channels,
                RowMoments<Arithmetic<S>>* moments) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; ++r) {
      S* out = z + r * channels;
      if (static_cast<const void*>(c) != static_cast<const void*>(z)) {
#pragma GCC ivdep
        for (int64_t i = 0; i < channels; ++i) out[i] = narrow<S>(c[r * channels + i]);
      }
      if (moments != nullptr) moments[r] = moments_of_row(out, channels);
    }
  });
}

template <typename S>
void store_gelu_sum(const Arithmetic<S>* c1, const Arithmetic<S>* c2, S* z1, S* z2, S* y,
                    int64_t rows, int64_t channels, RowMoments<Arithmetic<S>>* moments) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t first = r * channels;
      if (z1 != nullptr && static_cast<const void*>(c1) != static_cast<const void*>(z1)) {
#pragma GCC ivdep
        for (int64_t i = first; i < first + channels; ++i) z1[i] = narrow<S>(c1[i]);
#pragma GCC ivdep
        for (int64_t i = first; i < first + channels; ++i) z2[i] = narrow<S>(c2[i]);
      }
#pragma GCC ivdep
      for (int64_t i = first; i < first + channels; ++i) {
        y[i] = narrow<S>(gelu_value(rounded<S>(c1[i])) + gelu_value(rounded<S>(c2[i])));
      }
      if (moments != nullptr) moments[r] = moments_of_row(y + first, channels);
    }
  });
}

template <typename S>
void store_sum(const S* x, const Arithmetic<S>* c, Arithmetic<S> factor, S* y, int64_t rows,
               int64_t channels, RowMoments<Arithmetic<S>>* moments) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t first = r * channels;
#pragma GCC ivdep
      for (int64_t i = first; i < first + channels; ++i) {
        y[i] = narrow<S>(widen(x[i]) + factor * c[i]);
      }
      if (moments != nullptr) moments[r] = moments_of_row(y + first, channels);
    }
  });
}

#define ASMLP_INSTANTIATE(S, P)                                                         \
  template void normalize<S, P>(const S*, P*, int64_t, int64_t, Moments<Arithmetic<S>>, \
                                NormParameters<Arithmetic<S>>, Activation);             \
  template void norm_gradient<S, P>(const S*, const S*, const S*, P*, int64_t, int64_t, \
                                    Moments<Arithmetic<S>>, const Arithmetic<S>*,       \
                                    NormMeans<Arithmetic<S>>);
ASMLP_INSTANTIATE(float, float)
ASMLP_INSTANTIATE(double, double)
ASMLP_INSTANTIATE(Bf16, Bf16)
ASMLP_INSTANTIATE(Bf16, float)

#define ASMLP_INSTANTIATE_STORED(S)                                                                \
  template void row_moments<S>(const S*, int64_t, int64_t, RowMoments<Arithmetic<S>>*);            \
  template void norm_sums<S>(const S*, const Arithmetic<S>*, S*, int64_t, int64_t,                 \
                             Moments<Arithmetic<S>>, NormParameters<Arithmetic<S>>, Activation,    \
                             NormSums<Arithmetic<S>>);                                             \
  template void store_rows<S>(const Arithmetic<S>*, S*, int64_t, int64_t,                          \
                              RowMoments<Arithmetic<S>>*);                                         \
  template void store_gelu_sum<S>(const Arithmetic<S>*, const Arithmetic<S>*, S*, S*, S*, int64_t, \
                                  int64_t, RowMoments<Arithmetic<S>>*);                            \
  template void store_sum<S>(const S*, const Arithmetic<S>*, Arithmetic<S>, S*, int64_t, int64_t,  \
                             RowMoments<Arithmetic<S>>*);
ASMLP_INSTANTIATE_STORED(float)
ASMLP_INSTANTIATE_STORED(double)
ASMLP_INSTANTIATE_STORED(Bf16)

#define ASMLP_INSTANTIATE_SUMS(T)                                                       \
  template Moments<T> image_moments<T>(const RowMoments<T>*, int64_t, int64_t, double); \
  template NormMeans<T> norm_means<T>(NormSums<T>, const T*, int64_t, int64_t);
ASMLP_INSTANTIATE_SUMS(float)
ASMLP_INSTANTIATE_SUMS(double)

}  // namespace asmlp::nn
