// Int8 on AVX2 without a dot product of bytes. This file alone is compiled with -mavx2 -mfma.
//
// A holds 16-bit integers. A pair of them against a pair of bytes of B, widened when it is loaded,
// is one multiplication and one addition for 16 products: docs/design/decisions/0013-int8.md has
// what the multiplication of bytes costs, which saturates.
#if defined(__x86_64__)

#include <immintrin.h>

#include "asmlp/kernels/int8-inl.h"

namespace asmlp {
namespace avx2 {
namespace int8 {
#include "asmlp/kernels/avx2_wide_vec.inc"

struct Panel : Rounding {
  using Vec = int8::Vec;
  using Element = int16_t;
  static constexpr PanelElement kElement = PanelElement::kInt16;
  explicit Panel(const Quantization& quantization)
      : Rounding(quantization),
        zero(_mm256_set1_epi16(static_cast<int16_t>(quantization.zero_point))) {}
  void store(Vec v, Element* p) const { _mm256_storeu_si256((__m256i*)p, round(v, zero)); }
  void store_partial(Vec v, Element* p, int64_t n) const {
    Element whole[Vec::kLanes];
    store(v, whole);
    for (int64_t i = 0; i < n; ++i) p[i] = whole[i];
  }
  __m256i zero;
};

struct Dot : DotRegister {
  static constexpr int kGroup = 2, kElementBytes = 2, kBBytes = 16;
  static Vector load_b(const std::byte* p) {
    return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i*)p));
  }
  static Vector dot(Vector sum, Vector a, Vector b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
};

}  // namespace int8
}  // namespace avx2

// 6 x 16: 12 accumulators, 2 of B, 1 broadcast, and 1 product fill the 16 registers.
const KernelSet& avx2_int8_kernels() {
  using namespace avx2::int8;
  const KernelSet& fp32 = avx2_kernels(Precision::kFp32);
  static const KernelSet kBase = int8_base_set<Vec>(fp32);
  static const Int8Kernels kPart = int8_dot_part<Panel, Dot, 1, 2, 3, 4, 5, 6>(kBase);
  static const KernelSet kSet = int8_set<Panel>(Isa::kAvx2, kPart, Dot::kGroup, /*tile_rows=*/6,
                                                "int8 madd", int8_peak_loop<Dot>);
  return kSet;
}

}  // namespace asmlp

#endif
