// The elementwise and normalization loops behind linear.h and group_norm.h: single-threaded, on
// plain row-major arrays of `pixels` x `channels`. T is float or double. Float uses AVX-512 or AVX2
// where the machine has it (core/cpu.h); its erf is good to 3e-7 absolute, double calls the C
// library.
#pragma once

#include <cstdint>
#include <type_traits>

namespace asmlp::nn {

// A bf16 number as it is stored. Kernels whose arrays may hold them (of type S below) compute in
// fp32; their parameters and sums are of type Arithmetic<S>.
struct Bf16 {
  uint16_t bits;
};
template <typename S>
using Arithmetic = std::conditional_t<std::is_same_v<S, Bf16>, float, S>;

enum class Activation { kNone, kGelu };  // GELU with the exact erf

// y = GELU(z); y may equal z.
template <typename T>
void gelu(const T* z, T* y, int64_t count);
// y += GELU(z).
template <typename T>
void add_gelu(const T* z, T* y, int64_t count);
// dz = dy * GELU'(z), and sums[c] += the sum of column c of dz; where `y` is not null, y = GELU(z)
// again. dz may equal dy.
template <typename T>
void gelu_backward(const T* z, const T* dy, T* dz, T* y, int64_t pixels, int64_t channels, T* sums);
// sums[c] += the sum of column c.
template <typename T>
void add_columns(const T* values, int64_t pixels, int64_t channels, T* sums);

// y = x + factor * branch.
template <typename S>
void add_scaled(const S* x, const S* branch, Arithmetic<S> factor, S* y, int64_t count);
// y = factor * x.
template <typename S>
void scale(const S* x, Arithmetic<S> factor, S* y, int64_t count);

// Mean and 1 / sqrt(variance + eps) over one image.
template <typename T>
struct Moments {
  T mean;
  T scale;
};
template <typename S>
Moments<Arithmetic<S>> moments(const S* x, int64_t count, double eps);

// y = activation((x - mean) * scale * gamma + beta) on one image.
template <typename S>
void normalize(const S* x, S* y, int64_t pixels, int64_t channels, Moments<Arithmetic<S>> moments,
               const Arithmetic<S>* gamma, const Arithmetic<S>* beta, Activation activation);
// dx for one image, plus `d_past` unless that is null; d_gamma and d_beta (of `channels` each) are
// overwritten with the image's part.
template <typename S>
void normalize_backward(const S* x, const S* dy, S* dx, int64_t pixels, int64_t channels,
                        Moments<Arithmetic<S>> moments, const Arithmetic<S>* gamma,
                        const Arithmetic<S>* beta, Activation activation, const S* d_past,
                        Arithmetic<S>* d_gamma, Arithmetic<S>* d_beta);

}  // namespace asmlp::nn
