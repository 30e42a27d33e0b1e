#include "asmlp/torch/kernels/kernels.h"

#include "asmlp/torch/kernels/elements-inl.h"

namespace asmlp::nn {
namespace {

// sums[c] += value(r, c) over all rows, four of them at a time.
template <typename T, typename Value>
ASMLP_INLINE inline void sum_columns(int64_t rows, int64_t channels, T* sums, const Value& value) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      sums[c] += (value(r, c) + value(r + 1, c)) + (value(r + 2, c) + value(r + 3, c));
    }
  }
  for (; r < rows; ++r) {
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) sums[c] += value(r, c);
  }
}

}  // namespace

template <typename S, typename P>
void gelu(const S* z, P* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = narrow<P>(gelu_value(widen(z[i])));
  });
}

template <typename S, typename P>
void gelu_backward(const S* z, const Arithmetic<S>* dy, P* dz, P* y, int64_t rows, int64_t channels,
                   Arithmetic<S>* sums) {
  using T = Arithmetic<S>;
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; ++r) {
      const S* in = z + r * channels;
      const T* d_out = dy + r * channels;
      P* d_in = dz + r * channels;
      if (y == nullptr) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T gradient = d_out[c] * gelu_slope(widen(in[c]));
          d_in[c] = narrow<P>(gradient);
          sums[c] += gradient;
        }
      } else {
        P* out = y + r * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T value = widen(in[c]);
          const auto [below, bell] = normal(value);
          out[c] = narrow<P>(value * below);
          const T gradient = d_out[c] * (below + value * bell * kBellFactor<T>);
          d_in[c] = narrow<P>(gradient);
          sums[c] += gradient;
        }
      }
    }
  });
}

template <typename S>
void add_columns(const S* values, int64_t rows, int64_t channels, Arithmetic<S>* sums) {
  run_vectorized([=]() ASMLP_INLINE {
    sum_columns(rows, channels, sums,
                [=](int64_t r, int64_t c) ASMLP_INLINE { return widen(values[r * channels + c]); });
  });
}

template <typename X, typename Y>
void convert(const X* x, Y* y, int64_t count) {
  if constexpr (std::is_same_v<X, Y>) {
    if (x == y) return;
  }
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = narrow<Y>(widen(x[i]));
  });
}

void round_to_bf16(const float* x, float* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = rounded<Bf16>(x[i]);
  });
}

template <typename S>
void add_scaled(const S* x, const S* branch, Arithmetic<S> factor, S* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = narrow<S>(widen(x[i]) + factor * widen(branch[i]));
  });
}

template <typename S, typename P>
void scale(const S* x, Arithmetic<S> factor, P* y, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) y[i] = narrow<P>(factor * widen(x[i]));
  });
}

// By what maps are stored in (S) and what products read (P).
#define ASMLP_INSTANTIATE(S, P)                                                               \
  template void gelu<S, P>(const S*, P*, int64_t);                                            \
  template void gelu_backward<S, P>(const S*, const Arithmetic<S>*, P*, P*, int64_t, int64_t, \
                                    Arithmetic<S>*);                                          \
  template void convert<S, P>(const S*, P*, int64_t);                                         \
  template void scale<S, P>(const S*, Arithmetic<S>, P*, int64_t);
ASMLP_INSTANTIATE(float, float)
ASMLP_INSTANTIATE(double, double)
ASMLP_INSTANTIATE(Bf16, Bf16)
ASMLP_INSTANTIATE(Bf16, float)
template void convert<float, Bf16>(const float*, Bf16*, int64_t);

#define ASMLP_INSTANTIATE_STORED(S)                                         \
  template void add_columns<S>(const S*, int64_t, int64_t, Arithmetic<S>*); \
  template void add_scaled<S>(const S*, const S*, Arithmetic<S>, S*, int64_t);
ASMLP_INSTANTIATE_STORED(float)
ASMLP_INSTANTIATE_STORED(double)
ASMLP_INSTANTIATE_STORED(Bf16)

}  // namespace asmlp::nn
