// AVX-512 with the bf16 tile products of AMX. This file alone is compiled with -mamx-bf16.
//
// A tile register is 16 rows of 64 bytes; one instruction multiplies 16 x 32 bf16 of A with the
// 16 pairs of rows of B that a PackedMatrix stores anyway. Four sums of 16 x 16 are in flight,
// which covers the latency of the products. docs/design/decisions/0014-amx-overlap.md says why the
// products are cut as they are.
#if defined(__x86_64__) || defined(ASMLP_EMULATE_AVX512)

#if defined(ASMLP_EMULATE_AVX512)
#include "asmlp/kernels/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include <type_traits>

#include "asmlp/kernels/gemm.h"
#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace avx512_amx {
#include "asmlp/kernels/avx512_amx_tiles.inc"
#include "asmlp/kernels/avx512_bf16_panel.inc"
#include "asmlp/kernels/avx512_vec.inc"

// A number as the sum of two bf16 parts (bf16_parts()), the upper one in the upper half of a word.
template <typename V>
struct SplitPanel {
  using Vec = V;
  using Element = uint32_t;
  static Vec words(Vec v) {
    const __m512i rounded = _mm512_add_epi32(_mm512_castps_si512(v.v), _mm512_set1_epi32(0x8000));
    const __m512i upper = _mm512_and_si512(rounded, _mm512_set1_epi32(-65536));
    const __m512 lower = _mm512_sub_ps(v.v, _mm512_castsi512_ps(upper));
    return {_mm512_castsi512_ps(
        _mm512_or_si512(upper, _mm512_srli_epi32(_mm512_castps_si512(lower), 16)))};
  }
  static void store(Vec v, uint32_t* p) { words(v).store(reinterpret_cast<float*>(p)); }
  static void store_partial(Vec v, uint32_t* p, int64_t n) {
    words(v).store_partial(reinterpret_cast<float*>(p), n);
  }
};

constexpr int kDepth = 32;          // values of k per product
constexpr int kBRowBytes = 2 * 64;  // from a pair of k to the next in a packed panel

#include "asmlp/kernels/avx512_amx_gemm.inc"

// `times`: how many products of bf16 a product of the set's numbers takes.
template <int times>
static int64_t peak_loop(int64_t steps) {
  set_shapes(kRows, kRows);
  // Zeros: the speed does not depend on the values.
  _tile_zero(ASMLP_UPPER_A);
  _tile_zero(ASMLP_LOWER_A);
  _tile_zero(ASMLP_LEFT_B);
  _tile_zero(ASMLP_RIGHT_B);
  // A product takes as long as 16 multiply-adds of vectors.
  const int64_t products = steps / 16;
  for (int64_t i = 0; i < products; ++i) {
    _tile_dpbf16ps(ASMLP_UPPER_LEFT, ASMLP_UPPER_A, ASMLP_LEFT_B);
    _tile_dpbf16ps(ASMLP_UPPER_RIGHT, ASMLP_UPPER_A, ASMLP_RIGHT_B);
    _tile_dpbf16ps(ASMLP_LOWER_LEFT, ASMLP_LOWER_A, ASMLP_LEFT_B);
    _tile_dpbf16ps(ASMLP_LOWER_RIGHT, ASMLP_LOWER_A, ASMLP_RIGHT_B);
  }
  _tile_release();
  return products * 4 * kRows * 16 * kDepth * 2 / times;
}

template <typename Panel, typename Gelu, bool split>
static KernelSet make_set(Precision precision, PanelElement element, const char* instruction) {
  KernelSet set = simd_kernel_set<Panel, Gelu>(Isa::kAvx512Amx, precision, element);
  set.depth_step = kDepth;
  set.gemm = gemm_tiles<Panel, Gelu, split>;
  set.tile_rows = kBlockRows;
  set.peak_loop = peak_loop<(split ? 3 : 1)>;
  set.instruction = instruction;
  set.bf16_pairs = !split;
  return set;
}

}  // namespace avx512_amx

const KernelSet& avx512_amx_kernels(Precision precision) {
  using namespace avx512_amx;
  static const KernelSet kBf16 = make_set<Bf16Panel<Vec>, PolynomialGelu<Vec>, /*split=*/false>(
      Precision::kBf16, PanelElement::kBf16, "bf16 tile");
  static const KernelSet kSplit = make_set<SplitPanel<Vec>, TableGelu<Vec>, /*split=*/true>(
      Precision::kBf16x3, PanelElement::kBf16Split, "3 bf16 tiles");
  return precision == Precision::kBf16 ? kBf16 : kSplit;
}

}  // namespace asmlp

#endif
