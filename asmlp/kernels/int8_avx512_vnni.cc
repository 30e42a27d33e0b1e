// Int8 on AVX-512 with the dot product of bytes. This file alone is compiled with -mavx512vnni.
//
// The dot product multiplies unsigned by signed bytes: A holds q + 128.
#if defined(__x86_64__) || defined(ASMLP_EMULATE_AVX512)

#if defined(ASMLP_EMULATE_AVX512)
#include "asmlp/kernels/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include "asmlp/kernels/int8-inl.h"

namespace asmlp {
namespace avx512_vnni {
#include "asmlp/kernels/avx512_int8_vec.inc"

struct Panel : Rounding {
  using Vec = avx512_vnni::Vec;
  using Element = uint8_t;
  static constexpr PanelElement kElement = PanelElement::kUint8;
  explicit Panel(const Quantization& quantization) : Rounding(quantization) {
    zero = _mm512_set1_epi32(quantization.zero_point + 128);
  }
  void store(Vec v, Element* p) const { _mm_storeu_si128((__m128i*)p, round(v)); }
  void store_partial(Vec v, Element* p, int64_t n) const {
    _mm_mask_storeu_epi8(p, Vec::first_lanes(n), round(v));
  }
};

struct Dot {
  using Vector = __m512i;
  static constexpr int kLanes = 16, kGroup = 4, kElementBytes = 1, kBBytes = 64;
  static Vector zero() { return _mm512_set1_epi32(0); }
  static Vector load(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store(int32_t* p, Vector v) { _mm512_storeu_si512(p, v); }
  static Vector load_b(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Vector broadcast(const char* p) {
    int quad;
    __builtin_memcpy(&quad, p, sizeof quad);
    return _mm512_set1_epi32(quad);
  }
  static Vector dot(Vector sum, Vector a, Vector b) { return _mm512_dpbusd_epi32(sum, a, b); }
#if defined(ASMLP_EMULATE_AVX512)
  static void keep(Vector& v) { asm volatile("" : "+m"(v)); }
#else
  static void keep(Vector& v) { asm volatile("" : "+v"(v)); }
#endif
};

}  // namespace avx512_vnni

// 14 x 32, as avx512.cc.
const KernelSet& avx512_vnni_int8_kernels() {
  using namespace avx512_vnni;
  const KernelSet& fp32 = avx512_kernels(Precision::kFp32);
  static const KernelSet kBase = int8_base_set<Vec>(fp32);
  static const Int8Kernels kPart =
      int8_dot_part<Panel, Dot, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(kBase);
  static const KernelSet kSet = int8_set<Panel>(Isa::kAvx512Vnni, kPart, Dot::kGroup,
                                                /*tile_rows=*/14, "int8 dot", int8_peak_loop<Dot>);
  return kSet;
}

}  // namespace asmlp

#endif
