// The AVX-512 vector type of avx512.cc and avx512_bf16.cc. Each includes this inside a namespace of
// its own, so that their instances of the shared templates stay apart: they are compiled with
// different flags. No include guard for that reason.
//
// ASMLP_EMULATE_AVX512 replaces the intrinsics by portable functions of the same names; the tests
// build the kernels that way to run them on machines without AVX-512.

struct Vec {
  static constexpr int kLanes = 16;
  __m512 v;

  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
  // The first n < 16 elements; the other lanes are zero and their memory is not touched.
  static Vec load_partial(const float* p, int64_t n) {
    return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_partial(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
  static Vec widen_bf16(const uint16_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
  }
  Vec round_bf16() const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __m512 number = _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(-65536)));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return {_mm512_mask_blend_ps(nan, number, v)};
  }
  static constexpr const auto& kGeluTable = kGeluTable8;
  static Vec lookup(const float (&row)[16], Vec i) {
    return {_mm512_permutexvar_ps(_mm512_castps_si512(i.v), _mm512_loadu_ps(row))};
  }
  float sum() const { return _mm512_reduce_add_ps(v); }

  static __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
};

static inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// The operand order keeps a NaN in x: min and max return their second operand for a NaN.
static inline Vec min(Vec limit, Vec x) { return {_mm512_min_ps(limit.v, x.v)}; }
static inline Vec max(Vec limit, Vec x) { return {_mm512_max_ps(limit.v, x.v)}; }
static inline Vec abs(Vec x) {
  const __m512i bits = _mm512_castps_si512(x.v);
  return {_mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)))};
}
static inline void keep(Vec v) { asm volatile("" : : "m"(v.v)); }
