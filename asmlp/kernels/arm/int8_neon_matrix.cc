// Int8 with the matrix product of bytes (FEAT_I8MM). This file alone is compiled with +i8mm.
#if defined(__aarch64__)

#include <arm_neon.h>

#include "asmlp/kernels/int8-inl.h"
#include "asmlp/kernels/arm/neon_matrix-inl.h"

namespace asmlp {
namespace neon_matrix {
#include "asmlp/kernels/arm/neon_wide_vec.inc"

struct Product {
  using Value = int32_t;
  using Sum = int32x4_t;
  static constexpr int kGroup = 8;  // values of k per instruction
  static Sum zero() { return vdupq_n_s32(0); }
  static Sum load(const int32_t* p) { return vld1q_s32(p); }
  static void store(int32_t* p, Sum sum) { vst1q_s32(p, sum); }
  static Sum add(Sum a, Sum b) { return vaddq_s32(a, b); }
  static Sum multiply(Sum sum, uint8x16_t a, uint8x16_t b) {
    return vmmlaq_s32(sum, vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
  }
};

template <int rows>
[[gnu::noinline]] static void tiles(const Int8TileArgs& args) {
  constexpr int kCols = 16;
  const auto* a = static_cast<const uint8_t*>(args.a);
  const auto* b = reinterpret_cast<const uint8_t*>(args.b);
  int32_t* sums = args.sums;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a += rows * args.lda, sums += rows * kCols) {
    NeonMatrixTile<Product, rows> tile;
    if (args.start != nullptr) {
      tile.template set</*add=*/false>(args.start);
    } else {
      tile.load(sums, kCols);
    }
    tile.template multiply</*lines=*/2>(a, args.lda, args.depth, b, next, args.next_step);
    tile.store(sums, kCols);
  }
}

template <int... rows>
static Int8Kernels make_part(const KernelSet& base) {
  Int8Kernels part = int8_part<BytePanel, 16>(Product::kGroup, base);
  ((part.tiles[rows] = tiles<rows>), ...);
  return part;
}

}  // namespace neon_matrix

// 6 x 16, as neon_bf16.cc: for 16 values of k, 22 loads and 6 interleavings feed 48 products of 32
// multiply-adds.
const KernelSet& neon_matrix_int8_kernels() {
  using namespace neon_matrix;
  static const Int8Kernels kPart = make_part<1, 2, 3, 4, 5, 6>(*neon_int8_kernels().int8->base);
  static const KernelSet kSet =
      int8_set<BytePanel>(Isa::kNeonMatrix, kPart, 2 * Product::kGroup, /*tile_rows=*/6,
                          "int8 matrix", neon_matrix_peak_loop<Product>);
  return kSet;
}

}  // namespace asmlp

#endif
