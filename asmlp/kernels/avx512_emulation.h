// The AVX-512 intrinsics that avx512.cc, avx512_bf16.cc, and avx512_amx.cc use, in portable C++
// (GCC's and clang's vector types), so that the tests run those sources on machines without
// AVX-512: each function does what Intel's manual says of its namesake, lane by lane. Only a test
// program is built with it (CMakeLists.txt). The real instructions can be run by
// tools/emulate_x86.py; compared there on random and special numbers, these functions gave the same
// bits.
#pragma once

#include <cstdint>

#include "asmlp/kernels/amx_emulation.h"

#define ASMLP_VECTOR(bytes) __attribute__((vector_size(bytes), may_alias))
using __m512 = float ASMLP_VECTOR(64);
using __m512i = long long ASMLP_VECTOR(64);
using __m512bh = short ASMLP_VECTOR(64);
using __m256i = long long ASMLP_VECTOR(32);
using __m256bh = short ASMLP_VECTOR(32);
using __m128i = long long ASMLP_VECTOR(16);
using __mmask16 = uint16_t;

namespace asmlp::emulated {
using Words = uint32_t ASMLP_VECTOR(64);
using Halves = uint16_t ASMLP_VECTOR(64);
using Bytes = uint8_t ASMLP_VECTOR(64);
using SixteenBytes = uint8_t ASMLP_VECTOR(16);

template <typename To, typename From>
static inline To load(const From* p) {
  To value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

template <typename Lane>
static inline __m512 each(Lane lane) {
  __m512 result;
  for (int i = 0; i < 16; ++i) result[i] = lane(i);
  return result;
}

// The bf16 instructions take and give zero for a number below the normal range, of the same sign.
static inline float flush(float x) {
  return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x;
}
static inline float from_bf16(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  return flush(load<float>(&bits));
}
static inline uint16_t to_bf16(float x) {
  const float flushed = flush(x);
  const uint32_t bits = load<uint32_t>(&flushed);
  if (x != x) return static_cast<uint16_t>(bits >> 16 | 0x40);             // a quiet NaN
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);  // nearest, ties to even
}
}  // namespace asmlp::emulated

static inline __m512 _mm512_set1_ps(float x) { return x - __m512{}; }
static inline __m512i _mm512_set1_epi32(int x) {
  return (__m512i)(static_cast<uint32_t>(x) + asmlp::emulated::Words{});
}
static inline __m512 _mm512_castsi512_ps(__m512i x) { return (__m512)x; }
static inline __m512i _mm512_castps_si512(__m512 x) { return (__m512i)x; }

static inline __m512 _mm512_loadu_ps(const float* p) { return asmlp::emulated::load<__m512>(p); }
static inline __m512i _mm512_loadu_si512(const void* p) {
  return asmlp::emulated::load<__m512i>(static_cast<const char*>(p));
}
static inline __m256i _mm256_loadu_si256(const __m256i* p) {
  return asmlp::emulated::load<__m256i>(p);
}
static inline void _mm512_storeu_si512(void* p, __m512i x) { __builtin_memcpy(p, &x, sizeof x); }
static inline void _mm512_storeu_ps(float* p, __m512 x) { __builtin_memcpy(p, &x, sizeof x); }
static inline void _mm256_storeu_si256(__m256i* p, __m256i x) { __builtin_memcpy(p, &x, sizeof x); }

static inline void _mm_storeu_si128(__m128i* p, __m128i x) { __builtin_memcpy(p, &x, sizeof x); }

// Memory of lanes that the mask leaves out is not touched.
static inline __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const float* p) {
  return asmlp::emulated::each([&](int i) { return mask >> i & 1 ? p[i] : 0.0f; });
}
static inline void _mm512_mask_storeu_ps(float* p, __mmask16 mask, __m512 x) {
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) p[i] = x[i];
  }
}
static inline void _mm256_mask_storeu_epi16(void* p, __mmask16 mask, __m256i x) {
  const __m256bh halves = (__m256bh)x;
  for (int i = 0; i < 16; ++i) {
    const short half = halves[i];
    if (mask >> i & 1) __builtin_memcpy(static_cast<char*>(p) + 2 * i, &half, sizeof half);
  }
}

static inline void _mm_mask_storeu_epi8(void* p, __mmask16 mask, __m128i x) {
  const asmlp::emulated::SixteenBytes bytes = (asmlp::emulated::SixteenBytes)x;
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) static_cast<uint8_t*>(p)[i] = bytes[i];
  }
}

static inline __m512 _mm512_add_ps(__m512 a, __m512 b) { return a + b; }
static inline __m512 _mm512_sub_ps(__m512 a, __m512 b) { return a - b; }
static inline __m512 _mm512_mul_ps(__m512 a, __m512 b) { return a * b; }
static inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return asmlp::emulated::each([&](int i) { return __builtin_fmaf(a[i], b[i], c[i]); });
}
static inline __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) {
  return asmlp::emulated::each([&](int i) { return __builtin_fmaf(-a[i], b[i], c[i]); });
}
// The second operand when one is NaN or both are zero.
static inline __m512 _mm512_min_ps(__m512 a, __m512 b) { return a < b ? a : b; }
static inline __m512 _mm512_max_ps(__m512 a, __m512 b) { return a > b ? a : b; }
// Halves are added until one number is left, as the compilers' sequence of instructions does.
static inline float _mm512_reduce_add_ps(__m512 x) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x[i] += x[i + half];
  }
  return x[0];
}

static inline __m512i _mm512_and_si512(__m512i a, __m512i b) { return a & b; }
static inline __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
static inline __m512i _mm512_add_epi32(__m512i a, __m512i b) {
  return (__m512i)((asmlp::emulated::Words)a + (asmlp::emulated::Words)b);
}
static inline __m512i _mm512_slli_epi32(__m512i x, unsigned bits) {
  return (__m512i)((asmlp::emulated::Words)x << bits);
}
static inline __m512i _mm512_srli_epi32(__m512i x, unsigned bits) {
  return (__m512i)((asmlp::emulated::Words)x >> bits);
}

static inline __m512 _mm512_cvtepi32_ps(__m512i x) {
  const asmlp::emulated::Words words = (asmlp::emulated::Words)x;
  return asmlp::emulated::each([&](int i) { return float(int32_t(words[i])); });
}
// To the nearest, ties to even; numbers out of range are not needed.
static inline __m512i _mm512_cvtps_epi32(__m512 x) {
  asmlp::emulated::Words result;
  for (int i = 0; i < 16; ++i) result[i] = uint32_t(int32_t(__builtin_nearbyintf(x[i])));
  return (__m512i)result;
}
static inline __m128i _mm512_cvtepi32_epi8(__m512i x) {
  const asmlp::emulated::Words words = (asmlp::emulated::Words)x;
  asmlp::emulated::SixteenBytes result;
  for (int i = 0; i < 16; ++i) result[i] = static_cast<uint8_t>(words[i]);
  return (__m128i)result;
}
static inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
  using namespace asmlp::emulated;
  const Bytes x = (Bytes)a, y = (Bytes)b;
  Words result = (Words)sum;
  for (int i = 0; i < 64; ++i) result[i / 4] += uint32_t(int32_t{x[i]} * static_cast<int8_t>(y[i]));
  return (__m512i)result;
}

static inline __m512i _mm512_cvtepu16_epi32(__m256i x) {
  const __m256bh halves = (__m256bh)x;
  asmlp::emulated::Words result;
  for (int i = 0; i < 16; ++i) result[i] = static_cast<uint16_t>(halves[i]);
  return (__m512i)result;
}
// Only the four low bits of an index count.
static inline __m512 _mm512_permutexvar_ps(__m512i index, __m512 x) {
  const asmlp::emulated::Words lane = (asmlp::emulated::Words)index & 15;
  return asmlp::emulated::each([&](int i) { return x[lane[i]]; });
}

// The one comparison that is used: true when a or b is NaN.
enum AsmlpComparison { _CMP_UNORD_Q };
static inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, AsmlpComparison) {
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) mask |= unsigned{a[i] != a[i] || b[i] != b[i]} << i;
  return static_cast<__mmask16>(mask);
}
static inline __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
  return asmlp::emulated::each([&](int i) { return mask >> i & 1 ? b[i] : a[i]; });
}

static inline __m256bh _mm512_cvtneps_pbh(__m512 x) {
  __m256bh result;
  for (int i = 0; i < 16; ++i) result[i] = static_cast<short>(asmlp::emulated::to_bf16(x[i]));
  return result;
}
// The second operand fills the lower half.
static inline __m512bh _mm512_cvtne2ps_pbh(__m512 high, __m512 low) {
  __m512bh result;
  for (int i = 0; i < 16; ++i) {
    result[i] = static_cast<short>(asmlp::emulated::to_bf16(low[i]));
    result[16 + i] = static_cast<short>(asmlp::emulated::to_bf16(high[i]));
  }
  return result;
}
static inline __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  using namespace asmlp::emulated;
  const Halves x = (Halves)a, y = (Halves)b;
  return each([&](int i) {
    const float odd =
        flush(__builtin_fmaf(from_bf16(x[2 * i + 1]), from_bf16(y[2 * i + 1]), flush(sum[i])));
    return flush(__builtin_fmaf(from_bf16(x[2 * i]), from_bf16(y[2 * i]), odd));
  });
}
#undef ASMLP_VECTOR
