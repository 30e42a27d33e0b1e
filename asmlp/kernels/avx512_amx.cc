// AVX-512 with the bf16 tile products of AMX. This file alone is compiled with -mamx-bf16.
//
// A tile register is 16 rows of 64 bytes; one instruction multiplies 16 x 32 bf16 of A with the
// 16 pairs of rows of B that a PackedMatrix stores anyway. Four sums of 16 x 16 are in flight,
// which covers the latency of the products.
#if defined(__x86_64__) || defined(ASMLP_EMULATE_AVX512)

#if defined(ASMLP_EMULATE_AVX512)
#include "asmlp/kernels/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include <utility>

#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace avx512_amx {
#include "asmlp/kernels/avx512_bf16_panel.inc"
#include "asmlp/kernels/avx512_vec.inc"

// Registers by what they hold: C of a tile of more than 16 rows, and its A, are an upper and a
// lower half. Macros, because GCC's intrinsics paste the number into the name of the register.
#define ASMLP_UPPER_LEFT 0  // of C: 16 rows x 16 columns, fp32
#define ASMLP_UPPER_RIGHT 1
#define ASMLP_LOWER_LEFT 2
#define ASMLP_LOWER_RIGHT 3
#define ASMLP_UPPER_A 4  // rows x 32 values of k, bf16
#define ASMLP_LOWER_A 5
#define ASMLP_LEFT_B 6  // 16 pairs of k x 16 columns, bf16
#define ASMLP_RIGHT_B 7

constexpr int kDepth = 32;          // values of k per product
constexpr int kRows = 16;           // of a register
constexpr int kBRowBytes = 2 * 64;  // from a pair of k to the next in a packed panel

// What the instruction that sets the registers' shapes reads (Intel's manual, "LDTILECFG").
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
};

// The tile instructions are opaque to the compiler, which does not know what memory they read: what
// was written to it must be there.
static inline void finish_stores(const void* memory) {
  __asm__ volatile("" : : "r"(memory) : "memory");
}

// Sets the registers' shapes for tiles of so many rows.
[[gnu::always_inline]] static inline void set_shapes(int rows) {
  const auto upper = static_cast<uint8_t>(rows < kRows ? rows : kRows);
  // Tiles of few rows do not touch the lower half, whose shape must be valid all the same.
  const auto lower = static_cast<uint8_t>(rows > kRows ? rows - kRows : kRows);
  TileConfig config;
  const uint8_t shape[8] = {upper, upper, lower, lower, upper, lower, kRows, kRows};
  for (int i = 0; i < 8; ++i) config.rows[i] = shape[i];
  finish_stores(&config);
  _tile_loadconfig(&config);
}

// C = C + bias, in memory.
static void add_bias(const TileArgs& args, float* c, int rows) {
  const Vec low = Vec::load(args.bias), high = Vec::load(args.bias + Vec::kLanes);
  for (int r = 0; r < rows; ++r, c += args.ldc) {
    (Vec::load(c) + low).store(c);
    (Vec::load(c + Vec::kLanes) + high).store(c + Vec::kLanes);
  }
}

// `halves` is 2 for more than 16 rows.
template <int halves>
[[gnu::noinline]] void tiles_amx(const TileArgs& args, TileStart start, int rows) {
  finish_stores(args.a);
  set_shapes(rows);
  const char* a = static_cast<const char*>(args.a);
  float* c = args.c;
  const std::byte* next = args.next;
  const int64_t a_stride = args.lda * 2, c_stride = args.ldc * 4;
  for (int64_t t = 0; t < args.tiles; ++t, a += rows * a_stride, c += rows * args.ldc) {
    float* lower_c = c + kRows * args.ldc;
    if (start == TileStart::kBias) {
      // A stride of zero: every row is the bias.
      _tile_loadd(ASMLP_UPPER_LEFT, args.bias, 0);
      _tile_loadd(ASMLP_UPPER_RIGHT, args.bias + 16, 0);
      if constexpr (halves == 2) {
        _tile_loadd(ASMLP_LOWER_LEFT, args.bias, 0);
        _tile_loadd(ASMLP_LOWER_RIGHT, args.bias + 16, 0);
      }
    } else {
      if (start == TileStart::kBiasAccumulate) {
        add_bias(args, c, rows);
        finish_stores(c);
      }
      _tile_loadd(ASMLP_UPPER_LEFT, c, c_stride);
      _tile_loadd(ASMLP_UPPER_RIGHT, c + 16, c_stride);
      if constexpr (halves == 2) {
        _tile_loadd(ASMLP_LOWER_LEFT, lower_c, c_stride);
        _tile_loadd(ASMLP_LOWER_RIGHT, lower_c + 16, c_stride);
      }
    }
    const char* upper_a = a;
    const char* lower_a = a + kRows * a_stride;
    const char* b = static_cast<const char*>(args.b);
    for (int64_t k = 0; k < args.depth; k += kDepth) {
      _tile_loadd(ASMLP_UPPER_A, upper_a, a_stride);
      _tile_loadd(ASMLP_LEFT_B, b, kBRowBytes);
      _tile_dpbf16ps(ASMLP_UPPER_LEFT, ASMLP_UPPER_A, ASMLP_LEFT_B);
      _tile_loadd(ASMLP_RIGHT_B, b + 64, kBRowBytes);
      _tile_dpbf16ps(ASMLP_UPPER_RIGHT, ASMLP_UPPER_A, ASMLP_RIGHT_B);
      if constexpr (halves == 2) {
        _tile_loadd(ASMLP_LOWER_A, lower_a, a_stride);
        _tile_dpbf16ps(ASMLP_LOWER_LEFT, ASMLP_LOWER_A, ASMLP_LEFT_B);
        _tile_dpbf16ps(ASMLP_LOWER_RIGHT, ASMLP_LOWER_A, ASMLP_RIGHT_B);
      }
      upper_a += kDepth * 2;
      lower_a += kDepth * 2;
      b += kDepth / 2 * kBRowBytes;
#pragma GCC unroll 16
      for (int i = 0; i < kDepth / 2; ++i, next += args.next_step) {
        __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      }
    }
    _tile_stored(ASMLP_UPPER_LEFT, c, c_stride);
    _tile_stored(ASMLP_UPPER_RIGHT, c + 16, c_stride);
    if constexpr (halves == 2) {
      _tile_stored(ASMLP_LOWER_LEFT, lower_c, c_stride);
      _tile_stored(ASMLP_LOWER_RIGHT, lower_c + 16, c_stride);
    }
  }
  _tile_release();
}

template <int rows>
static void tiles_of(const TileArgs& args, TileStart start) {
  tiles_amx<(rows > kRows ? 2 : 1)>(args, start, rows);
}

static int64_t peak_loop(int64_t steps) {
  set_shapes(2 * kRows);
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
  return products * 4 * kRows * 16 * kDepth * 2;
}

// Tiles of 1, 2, ... rows.
template <int... row>
static KernelSet make_set(std::integer_sequence<int, row...>) {
  KernelSet set =
      simd_kernel_set<Bf16Panel<Vec>>(Isa::kAvx512Amx, Precision::kBf16, PanelElement::kBf16);
  set.depth_step = kDepth;
  set.tile_rows = sizeof...(row);
  ((set.tiles[row + 1] = tiles_of<row + 1>), ...);
  set.peak_loop = peak_loop;
  set.instruction = "bf16 tile";
  set.bf16_pairs = true;
  return set;
}

}  // namespace avx512_amx

const KernelSet& avx512_amx_kernels() {
  static const KernelSet kSet =
      avx512_amx::make_set(std::make_integer_sequence<int, 2 * avx512_amx::kRows>());
  return kSet;
}

}  // namespace asmlp

#endif
