// The elementwise and normalisation loops behind linear.h and group_norm.h: single-threaded, on
// plain row-major arrays of `pixels` x `channels`. T is float or double. Float uses AVX2 where the
// machine has it (core/cpu.h); its erf is good to 3e-7 absolute, double calls the C library.
#pragma once

#include <cstdint>

namespace asmlp::nn {

enum class Activation { kNone, kGelu };  // GELU with the exact erf

// Every pixel of z becomes `bias` (null: zeros): what a matrix product is then added to.
template <typename T>
void fill_pixels(T* z, int64_t pixels, int64_t channels, const T* bias);
// y = GELU(z); y may equal z.
template <typename T>
void gelu(const T* z, T* y, int64_t count);
// dz = dy * GELU'(z); dz may equal dy.
template <typename T>
void gelu_backward(const T* z, const T* dy, T* dz, int64_t count);
// sums[c] += the sum of column c.
template <typename T>
void add_columns(const T* values, int64_t pixels, int64_t channels, T* sums);

// Mean and 1 / sqrt(variance + eps) over one image.
template <typename T>
struct Moments {
  T mean;
  T scale;
};
template <typename T>
Moments<T> moments(const T* x, int64_t count, double eps);

// y = activation((x - mean) * scale * gamma + beta) on one image.
template <typename T>
void normalize(const T* x, T* y, int64_t pixels, int64_t channels, Moments<T> moments,
               const T* gamma, const T* beta, Activation activation);
// dx for one image; d_gamma and d_beta (of `channels` each) are overwritten with the image's part.
template <typename T>
void normalize_backward(const T* x, const T* dy, T* dx, int64_t pixels, int64_t channels,
                        Moments<T> moments, const T* gamma, const T* beta, Activation activation,
                        T* d_gamma, T* d_beta);

}  // namespace asmlp::nn
