// Int8 on AVX2 with the dot product of bytes (AVX-VNNI). This file alone is compiled with
// -mavxvnni.
//
// The dot product multiplies unsigned by signed bytes: A holds q + 128.
#if defined(__x86_64__)

#include <immintrin.h>

#include "asmlp/kernels/int8-inl.h"

namespace asmlp {
namespace avx2_vnni {
#include "asmlp/kernels/avx2_wide_vec.inc"

struct Panel : Rounding {
  using Vec = avx2_vnni::Vec;
  using Element = uint8_t;
  static constexpr PanelElement kElement = PanelElement::kUint8;
  explicit Panel(const Quantization& quantization)
      : Rounding(quantization),
        zero(_mm256_set1_epi16(static_cast<int16_t>(quantization.zero_point + 128))) {}
  void store(Vec v, Element* p) const {
    const __m256i words = round(v, zero);
    _mm_storeu_si128((__m128i*)p, _mm_packus_epi16(_mm256_castsi256_si128(words),
                                                   _mm256_extracti128_si256(words, 1)));
  }
  void store_partial(Vec v, Element* p, int64_t n) const {
    Element whole[Vec::kLanes];
    store(v, whole);
    for (int64_t i = 0; i < n; ++i) p[i] = whole[i];
  }
  __m256i zero;
};

struct Dot : DotRegister {
  static constexpr int kGroup = 4, kElementBytes = 1, kBBytes = 32;
  static Vector load_b(const std::byte* p) { return _mm256_load_si256((const __m256i*)p); }
  static Vector dot(Vector sum, Vector a, Vector b) { return _mm256_dpbusd_avx_epi32(sum, a, b); }
};

}  // namespace avx2_vnni

// 6 x 16, as avx2.cc.
const KernelSet& avx2_vnni_int8_kernels() {
  using namespace avx2_vnni;
  const KernelSet& fp32 = avx2_kernels(Precision::kFp32);
  static const KernelSet kBase = int8_base_set<Vec>(fp32);
  static const Int8Kernels kPart = int8_dot_part<Panel, Dot, 1, 2, 3, 4, 5, 6>(kBase);
  static const KernelSet kSet = int8_set<Panel>(Isa::kAvx2Vnni, kPart, Dot::kGroup, /*tile_rows=*/6,
                                                "int8 dot", int8_peak_loop<Dot>);
  return kSet;
}

}  // namespace asmlp

#endif
