// Loops that the compiler vectorizes for the machine it runs on: a loop is written once, in a
// lambda that is inlined into a copy of run_vectorized() compiled for AVX-512, one for AVX2 and one
// for the baseline. (A conditional expression becomes a blend: there is no branch in the inner
// loops. Arrays are the same or apart, so that no element depends on an earlier one.) It needs a
// source compiled with -fno-trapping-math.
#pragma once

#include <bit>
#include <cstdint>
#include <numbers>
#include <type_traits>

#include "asmlp/core/cpu.h"

#define ASMLP_INLINE __attribute__((always_inline))

namespace asmlp {
// Local to each file that includes it: the linker must not keep one file's AVX code for another
// (tools/check_isa_symbols.py).
namespace {

// The bytes of a vector, for a body that wants to be told.
template <int bytes>
using VectorBytes = std::integral_constant<int, bytes>;

template <int bytes, typename Body>
ASMLP_INLINE inline void call_vectorized(const Body& body) {
  if constexpr (std::is_invocable_v<const Body&, VectorBytes<bytes>>) {
    body(VectorBytes<bytes>());
  } else {
    body();
  }
}

#if defined(__x86_64__)
template <typename Body>
__attribute__((target("avx2,fma"))) void run_vectorized_avx2(const Body& body) {
  call_vectorized<32>(body);
}

template <typename Body>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512"))) void
run_vectorized_avx512(const Body& body) {
  call_vectorized<64>(body);
}
#endif

template <typename Body>
void run_vectorized(const Body& body) {
#if defined(__x86_64__)
  static const Isa isa = default_isa();
  if (isa >= Isa::kAvx512) return run_vectorized_avx512(body);
  if (isa >= Isa::kAvx2) return run_vectorized_avx2(body);
#endif
  call_vectorized<16>(body);
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

}  // namespace
}  // namespace asmlp
