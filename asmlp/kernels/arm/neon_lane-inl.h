// Tiles of int8 products of 16 columns whose instructions select a lane of a register of A, 16
// bytes of a row: SDOT and SMLAL.
//
// Required of Dot: kGroup values of k in each of kLanes lanes of A; A, load_a(p); B, a register of
// four columns, kBBytes of a packed panel; load_b(p, b) of 16 columns; add<lane>(sums, b, a): the
// products of that lane of A with the 16 columns. Because it is part of every instance's name, no
// instance can be mistaken for another ISA's.
#pragma once

#include <arm_neon.h>

#include "asmlp/kernels/int8-inl.h"

namespace asmlp {

// Lanes `lane` and those after it of the registers of A, a prefetch before each.
template <typename Dot, int lane, int rows>
[[gnu::always_inline]] inline void neon_add_lanes(int32x4_t (&sums)[rows][4],
                                                  const typename Dot::A (&a)[rows],
                                                  const std::byte* b, const std::byte* next,
                                                  int64_t step) {
  __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
  typename Dot::B columns[4];
  Dot::load_b(b, columns);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) Dot::template add<lane>(sums[r], columns, a[r]);
  if constexpr (lane + 1 < Dot::kLanes) {
    neon_add_lanes<Dot, lane + 1>(sums, a, b + 4 * Dot::kBBytes, next + step, step);
  }
}

template <typename Dot, int rows>
[[gnu::noinline]] void neon_lane_tiles(const Int8TileArgs& args) {
  constexpr int kCols = 16;
  constexpr int64_t kStep = Dot::kGroup * Dot::kLanes;  // values of k
  constexpr int64_t kElementBytes = sizeof(typename Dot::Panel::Element);
  const auto* a_tile = static_cast<const std::byte*>(args.a);
  const int64_t stride = args.lda * kElementBytes;
  int32_t* out = args.sums;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a_tile += rows * stride, out += rows * kCols) {
    int32x4_t sums[rows][4];
    const bool fresh = args.start != nullptr;
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const int32_t* from = fresh ? args.start : out + r * kCols;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sums[r][j] = vld1q_s32(from + 4 * j);
    }
    const std::byte* rows_of_a[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) rows_of_a[r] = a_tile + r * stride;
    const std::byte* b = args.b;
    for (int64_t k = 0; k < args.depth; k += kStep) {
      typename Dot::A a[rows];
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) a[r] = Dot::load_a(rows_of_a[r] + k * kElementBytes);
      neon_add_lanes<Dot, 0>(sums, a, b, next, args.next_step);
      b += Dot::kLanes * 4 * Dot::kBBytes;
      next += Dot::kLanes * args.next_step;
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) vst1q_s32(out + r * kCols + 4 * j, sums[r][j]);
    }
  }
}

template <typename Dot>
int64_t neon_lane_peak_loop(int64_t steps) {
  constexpr int kChains = 5;
  int32x4_t sums[kChains][4];
#pragma GCC unroll 5
  for (int i = 0; i < kChains; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sums[i][j] = vdupq_n_s32(0);
      asm volatile("" : "+w"(sums[i][j]));  // equal sums would be computed once
    }
  }
  alignas(16) const std::byte zeros[64] = {};
  typename Dot::A a = Dot::load_a(zeros);
  asm volatile("" : "+w"(a));
  typename Dot::B b[4];
  Dot::load_b(zeros, b);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) asm volatile("" : "+w"(b[j]));
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 5
    for (int i = 0; i < kChains; ++i) Dot::template add<0>(sums[i], b, a);
  }
#pragma GCC unroll 5
  for (int i = 0; i < kChains; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) asm volatile("" : : "w"(sums[i][j]));
  }
  return steps * kChains * 16 * Dot::kGroup * 2;
}

// An Int8Kernels with tiles of up to sizeof...(rows) rows; rows must be 1, 2, 3...
template <typename Dot, int... rows>
Int8Kernels neon_lane_part(const KernelSet& base) {
  Int8Kernels part = int8_part<typename Dot::Panel, 16>(Dot::kGroup, base);
  ((part.tiles[rows] = neon_lane_tiles<Dot, rows>), ...);
  return part;
}

}  // namespace asmlp
