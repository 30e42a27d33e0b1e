// AVX-512 with the bf16 dot product. This file alone is compiled with -mavx512bf16.
#if defined(__x86_64__) || defined(ASMLP_EMULATE_AVX512)

#if defined(ASMLP_EMULATE_AVX512)
#include "asmlp/kernels/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace avx512_bf16 {
#include "asmlp/kernels/avx512_bf16_panel.inc"
#include "asmlp/kernels/avx512_vec.inc"

// sum += a.even * b.even + a.odd * b.odd in every lane, a and b being pairs of bf16.
static inline Vec dot(Vec sum, __m512i a, __m512i b) {
  return {_mm512_dpbf16_ps(sum.v, (__m512bh)a, (__m512bh)b)};
}

// Pairs of bf16 weights against pairs of bf16 values, two products per instruction and lane.
template <int rows>
[[gnu::noinline]] void tiles_dot(const TileArgs& args, TileStart start) {
  constexpr int64_t kBytes = sizeof(uint16_t);
  const char* a_tile = static_cast<const char*>(args.a);
  float* c = args.c;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles;
       ++t, a_tile += rows * args.lda * kBytes, c += rows * args.ldc) {
    SimdTile<Vec, rows> tile;
    tile.start(args, c, start);
    tile.prefetch_next(args, c);
    const char* a[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) a[r] = a_tile + r * args.lda * kBytes;
    const char* b = static_cast<const char*>(args.b);
    for (int64_t k = 0; k < args.depth * kBytes; k += 4, b += 128, next += args.next_step) {
      __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      const __m512i b_low = _mm512_loadu_si512(b), b_high = _mm512_loadu_si512(b + 64);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        int pair;
        __builtin_memcpy(&pair, a[r] + k, sizeof pair);
        const __m512i pairs = _mm512_set1_epi32(pair);
        tile.low[r] = dot(tile.low[r], pairs, b_low);
        tile.high[r] = dot(tile.high[r], pairs, b_high);
      }
    }
    tile.finish(args, c);
  }
}

static int64_t peak_loop(int64_t steps) {
  constexpr int kChains = 12;
  Vec sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = Vec::broadcast(static_cast<float>(i));
  const __m512i x = _mm512_set1_epi32(0x3f7e3f7e), y = _mm512_set1_epi32(0x3a833a83);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = dot(sums[i], x, y);
  }
  for (int i = 0; i < kChains; ++i) keep(sums[i]);
  return steps * kChains * Vec::kLanes * 4;
}

template <int... rows>
static KernelSet make_set() {
  KernelSet set = simd_kernel_set<Bf16Panel<Vec>, PolynomialGelu<Vec>>(
      Isa::kAvx512Bf16, Precision::kBf16, PanelElement::kBf16);
  set.depth_step = 2;
  set.tile_rows = sizeof...(rows);
  ((set.tiles[rows] = tiles_dot<rows>), ...);
  set.peak_loop = peak_loop;
  set.instruction = "bf16 dot";
  set.bf16_pairs = true;
  return set;
}

}  // namespace avx512_bf16

const KernelSet& avx512_bf16_kernels() {
  static const KernelSet kSet =
      avx512_bf16::make_set<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>();
  return kSet;
}

}  // namespace asmlp

#endif
