#include "asmlp/torch/ops/conv/channels.h"

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::nn {
namespace {

constexpr int64_t kTogether = 4;  // rows: as many fewer passes over the sums

}  // namespace

template <typename T>
void add_moments(const T* x, int64_t rows, int64_t channels, double* sums) {
  run_vectorized([=]() ASMLP_INLINE {
    double* const squares = sums + channels;
    int64_t row = 0;
    for (; row + kTogether <= rows; row += kTogether) {
      const T* a = x + row * channels;
      const T *b = a + channels, *c = b + channels, *d = c + channels;
#pragma GCC ivdep
      for (int64_t i = 0; i < channels; ++i) {
        const double p = a[i], q = b[i], r = c[i], s = d[i];
        sums[i] += (p + q) + (r + s);
        squares[i] += (p * p + q * q) + (r * r + s * s);
      }
    }
    for (; row < rows; ++row) {
      const T* a = x + row * channels;
#pragma GCC ivdep
      for (int64_t i = 0; i < channels; ++i) {
        const double p = a[i];
        sums[i] += p;
        squares[i] += p * p;
      }
    }
  });
}

template <typename T>
void scale_channels(const T* x, int64_t rows, int64_t channels, const T* scale, const T* shift,
                    bool relu, T* y) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t row = 0; row < rows; ++row) {
      const T* in = x + row * channels;
      T* out = y + row * channels;
      if (relu) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T value = scale[c] * in[c] + shift[c];
          out[c] = value < 0 ? T(0) : value;
        }
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) out[c] = scale[c] * in[c] + shift[c];
      }
    }
  });
}

template <typename T>
void add_gradient_sums(const T* x, const T* y, const T* dy, int64_t rows, int64_t channels,
                       const T* mean, double* sums) {
  run_vectorized([=]() ASMLP_INLINE {
    double* const products = sums + channels;
    for (int64_t row = 0; row < rows; ++row) {
      const T* in = x + row * channels;
      const T* gradient = dy + row * channels;
      if (y != nullptr) {
        const T* out = y + row * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const double g = out[c] <= 0 ? T(0) : gradient[c];
          sums[c] += g;
          products[c] += g * static_cast<double>(in[c] - mean[c]);
        }
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const double g = gradient[c];
          sums[c] += g;
          products[c] += g * static_cast<double>(in[c] - mean[c]);
        }
      }
    }
  });
}

template <typename T>
void combine_gradients(const T* x, const T* y, const T* dy, int64_t rows, int64_t channels,
                       const T* mean, const T* of_g, const T* of_x, const T* constant, T* dx) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t row = 0; row < rows; ++row) {
      const T* in = x + row * channels;
      const T* gradient = dy + row * channels;
      T* to = dx + row * channels;
      if (y != nullptr) {
        const T* out = y + row * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T g = out[c] <= 0 ? T(0) : gradient[c];
          to[c] = of_g[c] * g + of_x[c] * (in[c] - mean[c]) + constant[c];
        }
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          to[c] = of_g[c] * gradient[c] + of_x[c] * (in[c] - mean[c]) + constant[c];
        }
      }
    }
  });
}

#define ASMLP_INSTANTIATE(T)                                                                   \
  template void add_moments<T>(const T*, int64_t, int64_t, double*);                           \
  template void scale_channels<T>(const T*, int64_t, int64_t, const T*, const T*, bool, T*);   \
  template void add_gradient_sums<T>(const T*, const T*, const T*, int64_t, int64_t, const T*, \
                                     double*);                                                 \
  template void combine_gradients<T>(const T*, const T*, const T*, int64_t, int64_t, const T*, \
                                     const T*, const T*, const T*, T*);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)
#undef ASMLP_INSTANTIATE

}  // namespace asmlp::nn
