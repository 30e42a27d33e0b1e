// Advanced SIMD of every 64-bit ARM processor, fp32.
#if defined(__aarch64__)

#include <arm_neon.h>

#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace neon {
#include "asmlp/kernels/arm/neon_vec.inc"

// One k: lane `lane` of the quad of each row of A against a row of B.
template <int lane, int rows>
[[gnu::always_inline]] static inline void add(SimdTile<Vec, rows>& tile,
                                              const float32x4_t (&a)[rows], const float* b) {
  const Vec b_low = Vec::load(b), b_high = Vec::load(b + Vec::kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    tile.low[r].low = vfmaq_laneq_f32(tile.low[r].low, b_low.low, a[r], lane);
    tile.low[r].high = vfmaq_laneq_f32(tile.low[r].high, b_low.high, a[r], lane);
    tile.high[r].low = vfmaq_laneq_f32(tile.high[r].low, b_high.low, a[r], lane);
    tile.high[r].high = vfmaq_laneq_f32(tile.high[r].high, b_high.high, a[r], lane);
  }
}

// simd_tiles_f32 with four k at a time: a row of A is one load for four k, whose lanes the
// multiply-adds select.
template <int rows>
[[gnu::noinline]] static void tiles(const TileArgs& args, TileStart start) {
  constexpr int kCols = 2 * Vec::kLanes;
  const float* a_tile = static_cast<const float*>(args.a);
  float* c = args.c;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a_tile += rows * args.lda, c += rows * args.ldc) {
    SimdTile<Vec, rows> tile;
    tile.start(args, c, start);
    tile.prefetch_next(args, c);
    const float* a[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) a[r] = a_tile + r * args.lda;
    const float* b = static_cast<const float*>(args.b);
    int64_t k = 0;
    for (; k + 4 <= args.depth; k += 4, b += 4 * kCols, next += 2 * args.next_step) {
      float32x4_t quads[rows];
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) quads[r] = vld1q_f32(a[r] + k);
      __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      add<0>(tile, quads, b);
      add<1>(tile, quads, b + kCols);
      __builtin_prefetch(next + args.next_step, /*rw=*/0, /*locality=*/3);
      add<2>(tile, quads, b + 2 * kCols);
      add<3>(tile, quads, b + 3 * kCols);
    }
    for (; k < args.depth; ++k, b += kCols) {
      if (k % 2 == 0 && k + 2 <= args.depth) {
        __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
        next += args.next_step;
      }
      tile.add(a, k, Vec::load(b), Vec::load(b + Vec::kLanes));
    }
    tile.finish(args, c);
  }
}

// 24 independent sums, more than the 16 that four units with a latency of four cycles need. The
// result of the multiply-add is the sum, not a factor: the instruction overwrites its summand.
static int64_t peak_loop(int64_t steps) {
  constexpr int kChains = 24;
  float32x4_t sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sums[i] = vdupq_n_f32(static_cast<float>(i));
  const float32x4_t x = vdupq_n_f32(0.999f), y = vdupq_n_f32(0.001f);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sums[i] = vfmaq_f32(sums[i], x, y);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) keep({sums[i], sums[i]});
  return steps * kChains * 4 * 2;
}

template <int... rows>
static KernelSet make_set(Precision precision) {
  KernelSet set = simd_f32_kernels<Vec, rows...>(Isa::kNeon, precision);
  ((set.tiles[rows] = tiles<rows>), ...);
  set.peak_loop = peak_loop;
  return set;
}

}  // namespace neon

// 5 x 16: 20 sums, 4 registers of B and 5 of A fill 29 of the 32. For four k, 21 loads feed 80
// multiply-adds (8 x 8: 16 feed 64, but A, which comes from the second-level cache, is then read
// twice as often).
const KernelSet& neon_kernels(Precision precision) {
  static const KernelSet kFp32 = neon::make_set<1, 2, 3, 4, 5>(Precision::kFp32);
  static const KernelSet kBf16 = neon::make_set<1, 2, 3, 4, 5>(Precision::kBf16);
  return precision == Precision::kBf16 ? kBf16 : kFp32;
}

}  // namespace asmlp

#endif
