// Advanced SIMD with the bf16 matrix product (FEAT_BF16). This file alone is compiled with +bf16.
#if defined(__aarch64__)

#include <arm_neon.h>

#include "asmlp/kernels/arm/neon_matrix-inl.h"
#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace neon_bf16 {
#include "asmlp/kernels/arm/neon_vec.inc"

struct Product {
  using Value = float;
  using Sum = float32x4_t;
  static constexpr int kGroup = 4;  // values of k per instruction
  static Sum zero() { return vdupq_n_f32(0); }
  static Sum load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, Sum sum) { vst1q_f32(p, sum); }
  static Sum add(Sum a, Sum b) { return vaddq_f32(a, b); }
  static Sum multiply(Sum sum, uint8x16_t a, uint8x16_t b) {
    return vbfmmlaq_f32(sum, vreinterpretq_bf16_u8(a), vreinterpretq_bf16_u8(b));
  }
};

template <int rows>
[[gnu::noinline]] static void tiles(const TileArgs& args, TileStart start) {
  const int64_t stride = args.lda * int64_t{sizeof(uint16_t)};
  const auto* a = static_cast<const uint8_t*>(args.a);
  float* c = args.c;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a += rows * stride, c += rows * args.ldc) {
    NeonMatrixTile<Product, rows> tile;
    if (start == TileStart::kBias) {
      tile.template set</*add=*/false>(args.bias);
    } else {
      tile.load(c, args.ldc);
      if (start == TileStart::kBiasAccumulate) tile.template set</*add=*/true>(args.bias);
    }
    SimdTile<Vec, rows>::prefetch_next(args, c);
    tile.template multiply</*lines=*/4>(a, stride, args.depth * int64_t{sizeof(uint16_t)},
                                        static_cast<const uint8_t*>(args.b), next, args.next_step);
    tile.store(c, args.ldc);
  }
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
  KernelSet set = simd_kernel_set<Bf16Panel<Vec>, PolynomialGelu<Vec>>(
      Isa::kNeonMatrix, Precision::kBf16, PanelElement::kBf16);
  set.depth_step = 2 * Product::kGroup;
  set.depth_group = Product::kGroup;
  set.tile_rows = sizeof...(rows);
  ((set.tiles[rows] = tiles<rows>), ...);
  set.peak_loop = neon_matrix_peak_loop<Product>;
  set.instruction = "bf16 matrix";
  set.bf16_pairs = true;
  return set;
}

}  // namespace neon_bf16

// 6 x 16: 24 sums, 6 registers of A and 2 of B are all 32. For eight k, 22 loads and 6
// interleavings feed 48 products of 16 multiply-adds.
const KernelSet& neon_bf16_kernels() {
  static const KernelSet kSet = neon_bf16::make_set<1, 2, 3, 4, 5, 6>();
  return kSet;
}

}  // namespace asmlp

#endif
