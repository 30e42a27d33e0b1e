// The numbers of the kernels, one at a time: bf16 and back, the exact GELU and its slope. Local to
// each file that includes it, for the reason given in vectorized-inl.h.
#pragma once

#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "asmlp/kernels/vectorized-inl.h"
#include "asmlp/torch/kernels/kernels.h"

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

// The value that a map of type S will hold for x.
template <typename S>
ASMLP_INLINE inline Arithmetic<S> rounded(Arithmetic<S> x) {
  return widen(narrow<S>(x));
}

}  // namespace
}  // namespace asmlp::nn
