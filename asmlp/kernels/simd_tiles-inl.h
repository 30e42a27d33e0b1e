// The fp32 tiles over a vector type: see simd-inl.h.
#pragma once

#include <cstdint>

#include "asmlp/kernels/kernels.h"

namespace asmlp {

// The accumulators of a tile of `rows` x (2 * kLanes), whose part of C begins at `c`.
template <typename Vec, int rows>
struct SimdTile {
  Vec low[rows], high[rows];

  [[gnu::always_inline]] void start(const TileArgs& args, const float* c, TileStart start) {
    constexpr int kLanes = Vec::kLanes;
    if (start == TileStart::kBias) {
      const Vec bias_low = Vec::load(args.bias), bias_high = Vec::load(args.bias + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) low[r] = bias_low, high[r] = bias_high;
      return;
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      low[r] = Vec::load(c + r * args.ldc);
      high[r] = Vec::load(c + r * args.ldc + kLanes);
    }
    if (start == TileStart::kAccumulate) return;
    const Vec bias_low = Vec::load(args.bias), bias_high = Vec::load(args.bias + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) low[r] = low[r] + bias_low, high[r] = high[r] + bias_high;
  }

  [[gnu::always_inline]] void finish(const TileArgs& args, float* c) const {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      low[r].store(c + r * args.ldc);
      high[r].store(c + r * args.ldc + Vec::kLanes);
    }
  }

  // Brings the part of C of the next tile nearer: its rows are too far apart for the processor to
  // guess.
  [[gnu::always_inline]] static void prefetch_next(const TileArgs& args, const float* c) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const float* row = c + (rows + r) * args.ldc;
      __builtin_prefetch(row, /*rw=*/1, /*locality=*/3);
      if constexpr (Vec::kLanes > 8) __builtin_prefetch(row + Vec::kLanes, 1, 3);
    }
  }

  // One k: a column of A (`column` floats behind the row pointers) against a row of B.
  [[gnu::always_inline]] void add(const float* const (&a)[rows], int64_t column, Vec b_low,
                                  Vec b_high) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const Vec value = Vec::broadcast(a[r][column]);
      low[r] = fma(value, b_low, low[r]);
      high[r] = fma(value, b_high, high[r]);
    }
  }
};

// Out of line on purpose, here and below: inlined into a caller with captured state the
// accumulators spill (measured: half the speed).
template <typename Vec, int rows>
[[gnu::noinline]] void simd_tiles_f32(const TileArgs& args, TileStart start) {
  constexpr int kLanes = Vec::kLanes;
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
    for (; k + 2 <= args.depth; k += 2, b += 4 * kLanes, next += args.next_step) {
      __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      tile.add(a, k, Vec::load(b), Vec::load(b + kLanes));
      tile.add(a, k + 1, Vec::load(b + 2 * kLanes), Vec::load(b + 3 * kLanes));
    }
    if (k < args.depth) tile.add(a, k, Vec::load(b), Vec::load(b + kLanes));
    tile.finish(args, c);
  }
}

// A transposed: the values of one k are neighbors.
template <typename Vec, int rows>
[[gnu::noinline]] void simd_transposed_tiles_f32(const TileArgs& args, TileStart start) {
  constexpr int kLanes = Vec::kLanes;
  const float* a_tile = static_cast<const float*>(args.a);
  float* c = args.c;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a_tile += rows, c += rows * args.ldc) {
    SimdTile<Vec, rows> tile;
    tile.start(args, c, start);
    tile.prefetch_next(args, c);
    const float* a = a_tile;
    const float* b = static_cast<const float*>(args.b);
    for (int64_t k = 0; k < args.depth; ++k, a += args.lda, b += 2 * kLanes) {
      if (k % 2 == 0) {
        __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
        next += args.next_step;
      }
      const Vec b_low = Vec::load(b), b_high = Vec::load(b + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        const Vec value = Vec::broadcast(a[r]);
        tile.low[r] = fma(value, b_low, tile.low[r]);
        tile.high[r] = fma(value, b_high, tile.high[r]);
      }
    }
    tile.finish(args, c);
  }
}

// fp32 from the bf16 of a packed panel.
template <typename Vec>
void simd_widen(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += Vec::kLanes) Vec::widen_bf16(x + i).store(y + i);
}

}  // namespace asmlp
