// The elementwise and normalization loops behind functional.h: single-threaded, on dense row-major
// arrays of `rows` x `channels`, a row being a pixel.
//
// S is what feature maps are stored in: float, double or Bf16. P is what a matrix product reads
// (gemm.h): S itself, or for Bf16 float as well. All of them compute in Arithmetic<S>, T for short;
// parameters, sums and what a product gives are of that type. Float uses AVX-512 or AVX2 where the
// machine has it (core/cpu.h); its erf is good to 3e-7 absolute, double calls the C library.
#pragma once

#include <cstdint>
#include <type_traits>

namespace asmlp::nn {

// A bf16 number as it is stored.
struct Bf16 {
  uint16_t bits;
};
template <typename S>
using Arithmetic = std::conditional_t<std::is_same_v<S, Bf16>, float, S>;

enum class Activation { kNone, kGelu };  // GELU with the exact erf

// y = GELU(z); y may equal z.
template <typename S, typename P>
void gelu(const S* z, P* y, int64_t count);
// dz = dy * GELU'(z), and sums[c] += the sum of column c of dz; where `y` is not null, y = GELU(z)
// again. dz may equal dy.
template <typename S, typename P>
void gelu_backward(const S* z, const Arithmetic<S>* dy, P* dz, P* y, int64_t rows, int64_t channels,
                   Arithmetic<S>* sums);
// sums[c] += the sum of column c.
template <typename S>
void add_columns(const S* values, int64_t rows, int64_t channels, Arithmetic<S>* sums);
// y = x, rounded where Y is Bf16; nothing when they are one array.
template <typename X, typename Y>
void convert(const X* x, Y* y, int64_t count);

// y = x to the nearest bf16; y may equal x.
void round_to_bf16(const float* x, float* y, int64_t count);

// y = x + factor * branch.
template <typename S>
void add_scaled(const S* x, const S* branch, Arithmetic<S> factor, S* y, int64_t count);
// y = factor * x.
template <typename S, typename P>
void scale(const S* x, Arithmetic<S> factor, P* y, int64_t count);

// Sum of a row and sum of the squares of its differences from its own mean.
template <typename T>
struct RowMoments {
  T sum;
  T m2;
};
// Of every row.
template <typename S>
void row_moments(const S* x, int64_t rows, int64_t channels, RowMoments<Arithmetic<S>>* moments);

// Mean and 1 / sqrt(variance + eps) over one image.
template <typename T>
struct Moments {
  T mean;
  T scale;
};
// From its rows.
template <typename T>
Moments<T> image_moments(const RowMoments<T>* moments, int64_t rows, int64_t channels, double eps);

// The parameters of a norm, per channel.
template <typename T>
struct NormParameters {
  const T* gamma;
  const T* beta;
};
// y = activation((x - mean) * scale * gamma + beta).
template <typename S, typename Y>
void normalize(const S* x, Y* y, int64_t rows, int64_t channels, Moments<Arithmetic<S>> moments,
               NormParameters<Arithmetic<S>> norm, Activation activation);

// What the backward pass of a norm sums over the pixels of an image. With n = (x - mean) scale,
// u = n gamma + beta, and du = dy activation'(u):
//   gamma[c] += sum of du n,  beta[c] += sum of du
template <typename T>
struct NormSums {
  T* gamma;
  T* beta;
};
// `du` is stored for norm_gradient(); it may be `dy`.
template <typename S>
void norm_sums(const S* x, const Arithmetic<S>* dy, S* du, int64_t rows, int64_t channels,
               Moments<Arithmetic<S>> moments, NormParameters<Arithmetic<S>> norm,
               Activation activation, NormSums<Arithmetic<S>> sums);
// The two means of an image that its gradients share, `count` values having been summed:
//   level = sum_c gamma beta_sums / count,  slope = sum_c gamma gamma_sums / count.
template <typename T>
struct NormMeans {
  T level;
  T slope;
};
template <typename T>
NormMeans<T> norm_means(NormSums<T> sums, const T* gamma, int64_t channels, int64_t count);
// dx = scale (du gamma - level - n slope), plus `past` where that is not null.
template <typename S, typename Y>
void norm_gradient(const S* x, const S* du, const S* past, Y* dx, int64_t rows, int64_t channels,
                   Moments<Arithmetic<S>> moments, const Arithmetic<S>* gamma,
                   NormMeans<Arithmetic<S>> means);

// Ends of products, whose sums `c` lie in the cache; `moments`, of every row that is stored, may be
// null. z = c (nothing to do where they are one array).
template <typename S>
void store_rows(const Arithmetic<S>* c, S* z, int64_t rows, int64_t channels,
                RowMoments<Arithmetic<S>>* moments);
// z1 = c1, z2 = c2 (unless null), y = GELU(z1) + GELU(z2).
template <typename S>
void store_gelu_sum(const Arithmetic<S>* c1, const Arithmetic<S>* c2, S* z1, S* z2, S* y,
                    int64_t rows, int64_t channels, RowMoments<Arithmetic<S>>* moments);
// y = x + factor * c.
template <typename S>
void store_sum(const S* x, const Arithmetic<S>* c, Arithmetic<S> factor, S* y, int64_t rows,
               int64_t channels, RowMoments<Arithmetic<S>>* moments);

}  // namespace asmlp::nn
