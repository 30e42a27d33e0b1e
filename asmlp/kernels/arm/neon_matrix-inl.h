// Tiles of 16 columns made of ARM's matrix products: BFMMLA (bf16) and SMMLA (int8).
//
// Such an instruction multiplies 2 rows of A with 2 columns of B, 8 bytes of each, and adds the 2 x
// 2 sums to a register. A packed panel whose depth_group is 8 bytes holds two columns as one
// register; two rows of A are interleaved on the way, 16 bytes of each: one load and one
// instruction per row.
//
// Required of Product: Value (of a sum), Sum (a register of four), load(p), store(p, sum),
// add(sum, sum), multiply(sum, rows, columns) with registers of bytes. Because the Product is part
// of every instance's name, no instance can be mistaken for another ISA's.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace asmlp {

// The first or second halves of two registers side by side.
template <typename Register>
[[gnu::always_inline]] inline Register neon_first_halves(Register a, Register b) {
  return (Register)vzip1q_u64((uint64x2_t)a, (uint64x2_t)b);
}
template <typename Register>
[[gnu::always_inline]] inline Register neon_second_halves(Register a, Register b) {
  return (Register)vzip2q_u64((uint64x2_t)a, (uint64x2_t)b);
}

// The sums of a tile are blocks of 2 x 2: rows 2 p and 2 p + 1, columns 2 j and 2 j + 1. The last
// pair of an odd number of rows takes its row twice and stores it once.
template <typename Product, int rows>
struct NeonMatrixTile {
  using Sum = typename Product::Sum;
  using Value = typename Product::Value;
  static constexpr int kPairs = (rows + 1) / 2, kColumnPairs = 8;
  Sum sums[kPairs][kColumnPairs];

  static constexpr int second(int pair) { return 2 * pair + 1 < rows ? 2 * pair + 1 : 2 * pair; }

  // Every row becomes `row`, 16 values; or is added to.
  template <bool add>
  [[gnu::always_inline]] void set(const Value* row) {
#pragma GCC unroll 16
    for (int j = 0; j < kColumnPairs; j += 2) {
      const Sum four = Product::load(row + 2 * j);
      const Sum left = neon_first_halves(four, four), right = neon_second_halves(four, four);
#pragma GCC unroll 16
      for (int p = 0; p < kPairs; ++p) {
        sums[p][j] = add ? Product::add(sums[p][j], left) : left;
        sums[p][j + 1] = add ? Product::add(sums[p][j + 1], right) : right;
      }
    }
  }
  // Rows that are `stride` values apart.
  [[gnu::always_inline]] void load(const Value* c, int64_t stride) {
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
#pragma GCC unroll 16
      for (int j = 0; j < kColumnPairs; j += 2) {
        const Sum upper = Product::load(c + 2 * p * stride + 2 * j);
        const Sum lower = Product::load(c + second(p) * stride + 2 * j);
        sums[p][j] = neon_first_halves(upper, lower);
        sums[p][j + 1] = neon_second_halves(upper, lower);
      }
    }
  }
  [[gnu::always_inline]] void store(Value* c, int64_t stride) const {
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      Value* row = c + 2 * p * stride;
#pragma GCC unroll 16
      for (int j = 0; j < kColumnPairs; j += 2) {
        Product::store(row + 2 * j, neon_first_halves(sums[p][j], sums[p][j + 1]));
        if (second(p) == 2 * p) continue;
        Product::store(row + stride + 2 * j, neon_second_halves(sums[p][j], sums[p][j + 1]));
      }
    }
  }

  // 8 bytes of every row, pairs of rows in `a`, against 8 bytes of each of the columns.
  [[gnu::always_inline]] void multiply(const uint8x16_t (&a)[kPairs], const uint8_t* b) {
#pragma GCC unroll 16
    for (int j = 0; j < kColumnPairs; j += 2) {
      const uint8x16_t left = vld1q_u8(b + 16 * j), right = vld1q_u8(b + 16 * (j + 1));
#pragma GCC unroll 16
      for (int p = 0; p < kPairs; ++p) {
        sums[p][j] = Product::multiply(sums[p][j], a[p], left);
        sums[p][j + 1] = Product::multiply(sums[p][j + 1], a[p], right);
      }
    }
  }

  // Rows of A that are `stride` bytes apart, `bytes` of each (a multiple of 16), against a packed
  // panel. For every 16 bytes, `lines` lines are fetched from `next`, which moves on.
  template <int lines>
  [[gnu::always_inline]] void multiply(const uint8_t* a, int64_t stride, int64_t bytes,
                                       const uint8_t* b, const std::byte*& next, int64_t step) {
    const uint8_t *upper[kPairs], *lower[kPairs];
#pragma GCC unroll 16
    for (int p = 0; p < kPairs; ++p) {
      upper[p] = a + 2 * p * stride;
      lower[p] = a + second(p) * stride;
    }
    for (int64_t i = 0; i < bytes; i += 16, b += 2 * 16 * kColumnPairs) {
#pragma GCC unroll 16
      for (int line = 0; line < lines; ++line, next += step) {
        __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      }
      uint8x16_t first[kPairs], last[kPairs];
#pragma GCC unroll 16
      for (int p = 0; p < kPairs; ++p) {
        const uint8x16_t up = vld1q_u8(upper[p] + i), low = vld1q_u8(lower[p] + i);
        first[p] = neon_first_halves(up, low);
        last[p] = neon_second_halves(up, low);
      }
      multiply(first, b);
      multiply(last, b + 16 * kColumnPairs);
    }
  }
};

// Independent products: more than four units with a latency of four cycles need.
template <typename Product>
int64_t neon_matrix_peak_loop(int64_t steps) {
  constexpr int kChains = 24;
  typename Product::Sum sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) {
    sums[i] = Product::zero();
    asm volatile("" : "+w"(sums[i]));  // equal sums would be computed once
  }
  const uint8x16_t x = vdupq_n_u8(0x3c), y = vdupq_n_u8(0x01);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sums[i] = Product::multiply(sums[i], x, y);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) asm volatile("" : : "w"(sums[i]));
  return steps * kChains * 2 * 2 * Product::kGroup * 2;
}

}  // namespace asmlp
