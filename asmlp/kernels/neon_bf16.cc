// Advanced SIMD with the bf16 matrix product (FEAT_BF16). This file alone is compiled with +bf16.
//
// BFMMLA multiplies 2 rows of A with 2 columns of B, 4 values of k of each, and adds the 2 x 2 sums
// to a register. A PackedMatrix with depth_group 4 holds two columns as one register; two rows of A
// are interleaved on the way, 8 values of k of each: one load and one instruction per row.
#if defined(__aarch64__)

#include <arm_neon.h>

#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace neon_bf16 {
#include "asmlp/kernels/neon_vec.inc"

constexpr int kDepth = 8;  // values of k per step
constexpr int kGroup = 4;  // of which a product takes 4
constexpr int kCols = 2 * Vec::kLanes;
constexpr int kColumnPairs = kCols / 2;

static inline float32x4_t first_halves(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_u64(vzip1q_u64(vreinterpretq_u64_f32(a), vreinterpretq_u64_f32(b)));
}
static inline float32x4_t second_halves(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_u64(vzip2q_u64(vreinterpretq_u64_f32(a), vreinterpretq_u64_f32(b)));
}

// A tile whose sums are blocks of 2 x 2: rows 2 p and 2 p + 1, columns 2 j and 2 j + 1. The last
// pair of an odd number of rows takes its row twice and stores it once.
template <int rows>
struct Tile {
  static constexpr int kPairs = (rows + 1) / 2;
  float32x4_t sums[kPairs][kColumnPairs];

  static constexpr int second(int pair) { return 2 * pair + 1 < rows ? 2 * pair + 1 : 2 * pair; }

  [[gnu::always_inline]] void start(const TileArgs& args, const float* c, TileStart start) {
    float32x4_t bias[kColumnPairs];
    if (start != TileStart::kAccumulate) {
#pragma GCC unroll 16
      for (int j = 0; j < kColumnPairs; ++j) {
        const float32x2_t two = vld1_f32(args.bias + 2 * j);
        bias[j] = vcombine_f32(two, two);
      }
    }
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      const float* upper = c + 2 * p * args.ldc;
      const float* lower = c + second(p) * args.ldc;
#pragma GCC unroll 16
      for (int j = 0; j < kColumnPairs; j += 2) {
        if (start == TileStart::kBias) {
          sums[p][j] = bias[j];
          sums[p][j + 1] = bias[j + 1];
          continue;
        }
        const float32x4_t up = vld1q_f32(upper + 2 * j), low = vld1q_f32(lower + 2 * j);
        sums[p][j] = first_halves(up, low);
        sums[p][j + 1] = second_halves(up, low);
        if (start == TileStart::kAccumulate) continue;
        sums[p][j] = vaddq_f32(sums[p][j], bias[j]);
        sums[p][j + 1] = vaddq_f32(sums[p][j + 1], bias[j + 1]);
      }
    }
  }

  [[gnu::always_inline]] void finish(const TileArgs& args, float* c) const {
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      float* row = c + 2 * p * args.ldc;
#pragma GCC unroll 16
      for (int j = 0; j < kColumnPairs; j += 2) {
        vst1q_f32(row + 2 * j, first_halves(sums[p][j], sums[p][j + 1]));
        if (second(p) == 2 * p) continue;
        vst1q_f32(row + args.ldc + 2 * j, second_halves(sums[p][j], sums[p][j + 1]));
      }
    }
  }

  // kGroup values of k: a register of each pair of rows against those of the pairs of columns.
  [[gnu::always_inline]] void add(const bfloat16x8_t (&a)[kPairs], const uint16_t* b) {
#pragma GCC unroll 16
    for (int j = 0; j < kColumnPairs; j += 2) {
      const bfloat16x8_t b0 = vreinterpretq_bf16_u16(vld1q_u16(b + 2 * kGroup * j));
      const bfloat16x8_t b1 = vreinterpretq_bf16_u16(vld1q_u16(b + 2 * kGroup * (j + 1)));
#pragma GCC unroll 16
      for (int p = 0; p < kPairs; ++p) {
        sums[p][j] = vbfmmlaq_f32(sums[p][j], a[p], b0);
        sums[p][j + 1] = vbfmmlaq_f32(sums[p][j + 1], a[p], b1);
      }
    }
  }
};

template <int rows>
[[gnu::noinline]] static void tiles(const TileArgs& args, TileStart start) {
  constexpr int kPairs = Tile<rows>::kPairs;
  const uint16_t* a_tile = static_cast<const uint16_t*>(args.a);
  float* c = args.c;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a_tile += rows * args.lda, c += rows * args.ldc) {
    Tile<rows> tile;
    tile.start(args, c, start);
    SimdTile<Vec, rows>::prefetch_next(args, c);
    const uint16_t *upper[kPairs], *lower[kPairs];
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      upper[p] = a_tile + 2 * p * args.lda;
      lower[p] = a_tile + Tile<rows>::second(p) * args.lda;
    }
    const uint16_t* b = static_cast<const uint16_t*>(args.b);
    for (int64_t k = 0; k < args.depth; k += kDepth, b += kDepth * kCols) {
#pragma GCC unroll 16
      for (int i = 0; i < kDepth; i += 2, next += args.next_step) {
        __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      }
      bfloat16x8_t first[kPairs], second[kPairs];
#pragma GCC unroll 16
      for (int p = 0; p < kPairs; ++p) {
        const uint64x2_t up = vreinterpretq_u64_u16(vld1q_u16(upper[p] + k));
        const uint64x2_t low = vreinterpretq_u64_u16(vld1q_u16(lower[p] + k));
        first[p] = vreinterpretq_bf16_u64(vzip1q_u64(up, low));
        second[p] = vreinterpretq_bf16_u64(vzip2q_u64(up, low));
      }
      tile.add(first, b);
      tile.add(second, b + kGroup * kCols);
    }
    tile.finish(args, c);
  }
}

static int64_t peak_loop(int64_t steps) {
  constexpr int kChains = 24;
  float32x4_t sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sums[i] = vdupq_n_f32(static_cast<float>(i));
  const bfloat16x8_t x = vreinterpretq_bf16_u16(vdupq_n_u16(0x3f7e));
  const bfloat16x8_t y = vreinterpretq_bf16_u16(vdupq_n_u16(0x3a83));
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sums[i] = vbfmmlaq_f32(sums[i], x, y);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) keep({sums[i], sums[i]});
  return steps * kChains * 2 * 2 * kGroup * 2;
}

// A vector into a panel of A.
template <typename V>
struct Bf16Panel {
  using Vec = V;
  using Element = uint16_t;
  static void store(V v, uint16_t* p) {
    const bfloat16x8_t low = vcvtq_low_bf16_f32(v.low);
    vst1q_u16(p, vreinterpretq_u16_bf16(vcvtq_high_bf16_f32(low, v.high)));
  }
  static void store_partial(V v, uint16_t* p, int64_t n) {
    uint16_t values[V::kLanes];
    store(v, values);
    for (int64_t i = 0; i < n; ++i) p[i] = values[i];
  }
};

template <int... rows>
static KernelSet make_set() {
  KernelSet set =
      simd_kernel_set<Bf16Panel<Vec>>(Isa::kNeonMatrix, Precision::kBf16, PanelElement::kBf16);
  set.depth_step = kDepth;
  set.depth_group = kGroup;
  set.tile_rows = sizeof...(rows);
  ((set.tiles[rows] = tiles<rows>), ...);
  set.peak_loop = peak_loop;
  set.instruction = "bf16 matrix";
  set.bf16_pairs = true;
  return set;
}

}  // namespace neon_bf16

// 6 x 16: 24 sums, 6 registers of A and up to 2 of B are all 32. For eight k, 22 loads and 6
// interleavings feed 48 products of 16 multiply-adds.
const KernelSet& neon_bf16_kernels() {
  static const KernelSet kSet = neon_bf16::make_set<1, 2, 3, 4, 5, 6>();
  return kSet;
}

}  // namespace asmlp

#endif
