// The vectorised kernels, written once over a vector type. An ISA's source file defines its type
// `Vec` in a namespace of its own and instantiates these templates with it; because `Vec` is part
// of every instance's name, no instance can be mistaken for another ISA's.
//
// Required of Vec: kLanes, load, load_partial(p, n), store, store_partial(p, n), broadcast(float),
// +, -, *, /, fma(a, b, c) = a * b + c, clamp(x, limit) to [-limit, limit], sum() of the lanes,
// keep(v): pretends to use v. Nothing of the standard library's inline functions may be called
// here: they would be compiled with the ISA's flags and could be merged into the baseline.
#pragma once

#include <cstdint>

#include "asmlp/kernels/kernels.h"

namespace asmlp {

// C tile of `rows` x (2 * kLanes). Out of line on purpose: inlined into a caller with captured
// state the accumulators spill (measured: half the speed).
template <typename Vec, int rows>
[[gnu::noinline]] void simd_tile(const TileArgs& args, TileStart start) {
  constexpr int kLanes = Vec::kLanes;
  Vec low[rows], high[rows];
  if (start == TileStart::kBias) {
    const Vec bias_low = Vec::load(args.bias), bias_high = Vec::load(args.bias + kLanes);
    for (int r = 0; r < rows; ++r) {
      low[r] = bias_low;
      high[r] = bias_high;
    }
  } else {
    for (int r = 0; r < rows; ++r) {
      low[r] = Vec::load(args.c + r * args.ldc);
      high[r] = Vec::load(args.c + r * args.ldc + kLanes);
    }
    if (start == TileStart::kBiasAccumulate) {
      const Vec bias_low = Vec::load(args.bias), bias_high = Vec::load(args.bias + kLanes);
      for (int r = 0; r < rows; ++r) {
        low[r] = low[r] + bias_low;
        high[r] = high[r] + bias_high;
      }
    }
  }
  const float* a[rows];
  for (int r = 0; r < rows; ++r) a[r] = args.a + r * args.lda;
  const float* b = args.b;
  for (int64_t k = 0; k < args.depth; ++k, b += 2 * kLanes) {
    const Vec b_low = Vec::load(b), b_high = Vec::load(b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const Vec value = Vec::broadcast(a[r][k]);
      low[r] = fma(value, b_low, low[r]);
      high[r] = fma(value, b_high, high[r]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    low[r].store(args.c + r * args.ldc);
    high[r].store(args.c + r * args.ldc + kLanes);
  }
}

// erf(t) = t P(t^2) / Q(t^2), |t| <= 4 (erf is 1 - 1.5e-8 there). Coefficients: tools/fit_erf.py.
template <typename Vec>
inline Vec simd_erf(Vec t) {
  t = clamp(t, Vec::broadcast(4.0f));
  const Vec s = t * t;
  Vec p = Vec::broadcast(1.92172337e-08f);
  p = fma(p, s, Vec::broadcast(-1.99031493e-06f));
  p = fma(p, s, Vec::broadcast(0.00015553516f));
  p = fma(p, s, Vec::broadcast(0.00429298392f));
  p = fma(p, s, Vec::broadcast(0.0524332472f));
  p = fma(p, s, Vec::broadcast(0.213943093f));
  p = fma(p, s, Vec::broadcast(1.12837868f));
  Vec q = Vec::broadcast(0.00109802142f);
  q = fma(q, s, Vec::broadcast(0.0155509496f));
  q = fma(q, s, Vec::broadcast(0.120798951f));
  q = fma(q, s, Vec::broadcast(0.522929786f));
  q = fma(q, s, Vec::broadcast(1.0f));
  return clamp(t * p / q, Vec::broadcast(1.0f));
}

template <typename Vec>
inline Vec simd_gelu_of(Vec x) {
  const Vec half = x * Vec::broadcast(0.5f);
  return fma(half, simd_erf(x * Vec::broadcast(0.70710678118654752f)), half);
}

template <typename Vec>
inline Vec simd_norm_of(Vec x, Vec gamma, Vec beta, const NormArgs& norm) {
  return fma((x - Vec::broadcast(norm.mean)) * Vec::broadcast(norm.rstd), gamma, beta);
}

template <typename Vec>
void simd_gelu(float* x, int64_t n) {
  int64_t i = 0;
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) simd_gelu_of(Vec::load(x + i)).store(x + i);
  if (i < n) simd_gelu_of(Vec::load_partial(x + i, n - i)).store_partial(x + i, n - i);
}

template <typename Vec>
void simd_add_gelu(const float* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) {
    (Vec::load(y + i) + simd_gelu_of(Vec::load(x + i))).store(y + i);
  }
  if (i < n) {
    (Vec::load_partial(y + i, n - i) + simd_gelu_of(Vec::load_partial(x + i, n - i)))
        .store_partial(y + i, n - i);
  }
}

template <typename Vec, bool gelu>
void simd_normalize(const float* x, float* y, int64_t n, const NormArgs& norm) {
  int64_t i = 0;
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) {
    Vec value =
        simd_norm_of(Vec::load(x + i), Vec::load(norm.gamma + i), Vec::load(norm.beta + i), norm);
    if constexpr (gelu) value = simd_gelu_of(value);
    value.store(y + i);
  }
  if (i < n) {
    const int64_t rest = n - i;
    Vec value =
        simd_norm_of(Vec::load_partial(x + i, rest), Vec::load_partial(norm.gamma + i, rest),
                     Vec::load_partial(norm.beta + i, rest), norm);
    if constexpr (gelu) value = simd_gelu_of(value);
    value.store_partial(y + i, rest);
  }
}

template <typename Vec>
RowStats simd_row_stats(const float* x, int64_t n) {
  if (n == 0) return {0, 0};
  const int64_t whole = n / Vec::kLanes * Vec::kLanes;
  Vec sums = Vec::broadcast(0.0f);
  for (int64_t i = 0; i < whole; i += Vec::kLanes) sums = sums + Vec::load(x + i);
  if (whole < n) sums = sums + Vec::load_partial(x + whole, n - whole);
  const float sum = sums.sum();
  const float mean = sum / static_cast<float>(n);
  Vec squares = Vec::broadcast(0.0f);
  for (int64_t i = 0; i < whole; i += Vec::kLanes) {
    const Vec difference = Vec::load(x + i) - Vec::broadcast(mean);
    squares = fma(difference, difference, squares);
  }
  float m2 = squares.sum();
  for (int64_t i = whole; i < n; ++i) m2 += (x[i] - mean) * (x[i] - mean);
  return {sum, m2};
}

// Twelve independent chains cover the latency of two FMAs a cycle.
template <typename Vec>
int64_t simd_peak_loop(int64_t steps) {
  constexpr int kChains = 12;
  Vec sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = Vec::broadcast(static_cast<float>(i));
  Vec x = Vec::broadcast(0.999f), y = Vec::broadcast(0.001f);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = fma(sums[i], x, y);
  }
  for (int i = 0; i < kChains; ++i) keep(sums[i]);
  return steps * kChains * Vec::kLanes * 2;
}

// The kernel set of a vector type; tiles of up to `rows` rows.
template <typename Vec, int... rows>
KernelSet simd_kernel_set(Isa isa) {
  KernelSet set{};
  set.isa = isa;
  set.tile_rows = sizeof...(rows);
  set.tile_cols = 2 * Vec::kLanes;
  ((set.tile[rows] = simd_tile<Vec, rows>), ...);
  set.gelu = simd_gelu<Vec>;
  set.add_gelu = simd_add_gelu<Vec>;
  set.normalize = simd_normalize<Vec, /*gelu=*/false>;
  set.normalize_gelu = simd_normalize<Vec, /*gelu=*/true>;
  set.row_stats = simd_row_stats<Vec>;
  set.peak_loop = simd_peak_loop<Vec>;
  return set;
}

}  // namespace asmlp
