// Int8 on AVX-512 with the byte tile products of AMX. This file alone is compiled with -mamx-int8.
//
// As avx512_amx.cc: a tile register is 16 rows of 64 bytes; one instruction multiplies 16 x 64
// bytes of A with 16 groups of four rows of B. Both are signed. Four sums of 16 x 16 are in flight.
#if defined(__x86_64__) || defined(ASMLP_EMULATE_AVX512)

#if defined(ASMLP_EMULATE_AVX512)
#include "asmlp/kernels/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include <utility>

#include "asmlp/kernels/int8-inl.h"

namespace asmlp {
namespace avx512_amx {
namespace int8 {
#include "asmlp/kernels/avx512_amx_tiles.inc"
#include "asmlp/kernels/avx512_int8_vec.inc"

struct Panel : Rounding {
  using Vec = int8::Vec;
  using Element = int8_t;
  static constexpr PanelElement kElement = PanelElement::kInt8;
  explicit Panel(const Quantization& quantization) : Rounding(quantization) {}
  void store(Vec v, Element* p) const { _mm_storeu_si128((__m128i*)p, round(v)); }
  void store_partial(Vec v, Element* p, int64_t n) const {
    _mm_mask_storeu_epi8(p, Vec::first_lanes(n), round(v));
  }
};

constexpr int kDepth = 64;  // values of k per product
constexpr int kGroup = 4;
constexpr int kCols = 32;                   // of a tile
constexpr int kBRowBytes = kCols * kGroup;  // from a group of k to the next in a packed panel

// The tile instructions are opaque to the compiler, which does not know what memory they read and
// write.
static inline void finish_stores(const void* memory) {
  __asm__ volatile("" : : "r"(memory) : "memory");
}

// `halves` is 2 for more than 16 rows.
template <int halves>
[[gnu::noinline]] void tiles_amx(const Int8TileArgs& args, int rows) {
  finish_stores(args.a);
  set_shapes(rows < kRows ? rows : kRows, rows - kRows);
  const char* a = static_cast<const char*>(args.a);
  int32_t* sums = args.sums;
  const std::byte* next = args.next;
  constexpr int64_t kStride = kCols * sizeof(int32_t);
  for (int64_t t = 0; t < args.tiles; ++t, a += rows * args.lda, sums += rows * kCols) {
    int32_t* lower_sums = sums + kRows * kCols;
    // With a stride of zero every row is the start.
    const int32_t* from = args.start != nullptr ? args.start : sums;
    const int32_t* lower_from = args.start != nullptr ? args.start : lower_sums;
    const int64_t from_stride = args.start != nullptr ? 0 : kStride;
    _tile_loadd(ASMLP_UPPER_LEFT, from, from_stride);
    _tile_loadd(ASMLP_UPPER_RIGHT, from + 16, from_stride);
    if constexpr (halves == 2) {
      _tile_loadd(ASMLP_LOWER_LEFT, lower_from, from_stride);
      _tile_loadd(ASMLP_LOWER_RIGHT, lower_from + 16, from_stride);
    }
    const char* upper_a = a;
    const char* lower_a = a + kRows * args.lda;
    const std::byte* b = args.b;
    for (int64_t k = 0; k < args.depth; k += kDepth) {
      _tile_loadd(ASMLP_UPPER_A, upper_a, args.lda);
      _tile_loadd(ASMLP_LEFT_B, b, kBRowBytes);
      _tile_dpbssd(ASMLP_UPPER_LEFT, ASMLP_UPPER_A, ASMLP_LEFT_B);
      _tile_loadd(ASMLP_RIGHT_B, b + 64, kBRowBytes);
      _tile_dpbssd(ASMLP_UPPER_RIGHT, ASMLP_UPPER_A, ASMLP_RIGHT_B);
      if constexpr (halves == 2) {
        _tile_loadd(ASMLP_LOWER_A, lower_a, args.lda);
        _tile_dpbssd(ASMLP_LOWER_LEFT, ASMLP_LOWER_A, ASMLP_LEFT_B);
        _tile_dpbssd(ASMLP_LOWER_RIGHT, ASMLP_LOWER_A, ASMLP_RIGHT_B);
      }
      upper_a += kDepth;
      lower_a += kDepth;
      b += kDepth / kGroup * kBRowBytes;
#pragma GCC unroll 16
      for (int i = 0; i < kDepth / kGroup; ++i, next += args.next_step) {
        __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      }
    }
    _tile_stored(ASMLP_UPPER_LEFT, sums, kStride);
    _tile_stored(ASMLP_UPPER_RIGHT, sums + 16, kStride);
    if constexpr (halves == 2) {
      _tile_stored(ASMLP_LOWER_LEFT, lower_sums, kStride);
      _tile_stored(ASMLP_LOWER_RIGHT, lower_sums + 16, kStride);
    }
  }
  _tile_release();
  finish_stores(args.sums);
}

template <int rows>
static void tiles_of(const Int8TileArgs& args) {
  tiles_amx<(rows > kRows ? 2 : 1)>(args, rows);
}

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
    _tile_dpbssd(ASMLP_UPPER_LEFT, ASMLP_UPPER_A, ASMLP_LEFT_B);
    _tile_dpbssd(ASMLP_UPPER_RIGHT, ASMLP_UPPER_A, ASMLP_RIGHT_B);
    _tile_dpbssd(ASMLP_LOWER_LEFT, ASMLP_LOWER_A, ASMLP_LEFT_B);
    _tile_dpbssd(ASMLP_LOWER_RIGHT, ASMLP_LOWER_A, ASMLP_RIGHT_B);
  }
  _tile_release();
  return products * 4 * kRows * 16 * kDepth * 2;
}

// Tiles of 1, 2, ... rows.
template <int... row>
static Int8Kernels make_part(const KernelSet& base, std::integer_sequence<int, row...>) {
  Int8Kernels part = int8_part<Panel, kCols>(kGroup, base);
  ((part.tiles[row + 1] = tiles_of<row + 1>), ...);
  return part;
}

}  // namespace int8
}  // namespace avx512_amx

const KernelSet& avx512_amx_int8_kernels() {
  using namespace avx512_amx::int8;
  const KernelSet& fp32 = avx512_kernels(Precision::kFp32);
  static const KernelSet kBase = int8_base_set<Vec>(fp32);
  static const Int8Kernels kPart = make_part(kBase, std::make_integer_sequence<int, 2 * kRows>());
  static const KernelSet kSet = int8_set<Panel>(Isa::kAvx512Amx, kPart, kDepth, 2 * kRows,
                                                "int8 tile", avx512_amx::int8::peak_loop);
  return kSet;
}

}  // namespace asmlp

#endif
