// AVX2 and FMA. This file alone is compiled with -mavx2 -mfma.
#if defined(__x86_64__)

#include <immintrin.h>

#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace avx2 {

struct Vec {
  static constexpr int kLanes = 8;
  __m256 v;

  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
  // The first n < 8 elements; the other lanes are zero and their memory is not touched.
  static Vec load_partial(const float* p, int64_t n) { return {_mm256_maskload_ps(p, mask(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_partial(float* p, int64_t n) const { _mm256_maskstore_ps(p, mask(n), v); }
  static Vec widen_bf16(const uint16_t* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
  }
  Vec round_bf16() const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256 number = _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(-65536)));
    return {_mm256_blendv_ps(number, v, _mm256_cmp_ps(v, v, _CMP_UNORD_Q))};  // NaN stays NaN
  }
  static constexpr const auto& kGeluTable = kGeluTable4;
  static Vec lookup(const float (&row)[8], Vec i) {
    return {_mm256_permutevar_ps(_mm256_load_ps(row), _mm256_castps_si256(i.v))};
  }
  float sum() const {
    __m128 quad = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    quad = _mm_add_ps(quad, _mm_movehl_ps(quad, quad));
    return _mm_cvtss_f32(_mm_add_ss(quad, _mm_shuffle_ps(quad, quad, 1)));
  }

 private:
  static __m256i mask(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
};

static inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
static inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
static inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
static inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
static inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
static inline void keep(Vec v) { asm volatile("" : : "x"(v.v)); }
// The operand order keeps a NaN in x: min and max return their second operand for a NaN.
static inline Vec min(Vec limit, Vec x) { return {_mm256_min_ps(limit.v, x.v)}; }
static inline Vec max(Vec limit, Vec x) { return {_mm256_max_ps(limit.v, x.v)}; }
static inline Vec abs(Vec x) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x.v)}; }
}  // namespace avx2

// 6 x 16: 12 accumulators, 2 of B and 1 broadcast fill 15 of the 16 registers, and 12 independent
// FMAs cover the 4-5 cycles of latency at 2 per cycle.
const KernelSet& avx2_kernels(Precision precision) {
  static const KernelSet kFp32 =
      simd_f32_kernels<avx2::Vec, 1, 2, 3, 4, 5, 6>(Isa::kAvx2, Precision::kFp32);
  static const KernelSet kBf16 =
      simd_f32_kernels<avx2::Vec, 1, 2, 3, 4, 5, 6>(Isa::kAvx2, Precision::kBf16);
  return precision == Precision::kBf16 ? kBf16 : kFp32;
}

}  // namespace asmlp

#endif
