// What happens to values between the products, over a vector type: see simd-inl.h.
#pragma once

#include <cstdint>

#include "asmlp/kernels/gelu_table.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {

// ------------------------------------------------------------------------- what a panel holds
// A policy of the elementwise kernels: how a vector is stored into a panel of A.
template <typename V>
struct F32Panel {
  using Vec = V;
  using Element = float;
  static void store(Vec v, float* p) { v.store(p); }
  static void store_partial(Vec v, float* p, int64_t n) { v.store_partial(p, n); }
};

template <typename V>
struct RoundedPanel {
  using Vec = V;
  using Element = float;
  static void store(Vec v, float* p) { v.round_bf16().store(p); }
  static void store_partial(Vec v, float* p, int64_t n) { v.round_bf16().store_partial(p, n); }
};

// Two neighbors; by the panel's store_pair(low, high, p) where that is cheaper than two stores.
template <typename Panel>
[[gnu::always_inline]] inline void store_pair(const Panel& panel, typename Panel::Vec low,
                                              typename Panel::Vec high,
                                              typename Panel::Element* p) {
  if constexpr (requires { panel.store_pair(low, high, p); }) {
    panel.store_pair(low, high, p);
  } else {
    panel.store(low, p);
    panel.store(high, p + Panel::Vec::kLanes);
  }
}

// ------------------------------------------------------------------------- elementwise
// GELU(x) = max(x, 0) - a q(a), a = |x|, where q(a) = Phi(-a) is a table of polynomials
// (gelu_table.h). Half the time of a rational approximation, whose division and longer chains
// compete with the products' multiply-adds for the same units; these lookups do not.
template <typename Vec>
[[gnu::always_inline]] inline Vec simd_gelu_of(Vec x) {
  constexpr const auto& kTable = Vec::kGeluTable;
  // Adding 1.5 * 2^23 rounds to an integer, which the lowest bits then hold.
  const Vec magic = Vec::broadcast(12582912.0f);
  const Vec a = min(Vec::broadcast(kGeluLimit), abs(x));
  // Fused, because the product of the limit is just below n + 1/2 and would be rounded up to it.
  const Vec scale = Vec::broadcast(kTable.scale);
  const Vec segment = fma(a, scale, magic);
  const Vec d = fma(a, scale, magic - segment);
  Vec q = Vec::lookup(kTable.coefficients[kTable.kDegree], segment);
#pragma GCC unroll 8
  for (int i = kTable.kDegree - 1; i >= 0; --i) {
    q = fma(q, d, Vec::lookup(kTable.coefficients[i], segment));
  }
  return fnma(a, q, max(Vec::broadcast(0.0f), x));
}

// GELU of `n` vectors at once, so that their chains of operations overlap. Two policies:
// by the table, for results in fp32;
template <typename V>
struct TableGelu {
  template <int n>
  [[gnu::always_inline]] static void apply(V (&x)[n]) {
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) x[i] = simd_gelu_of(x[i]);
  }
};
// by the polynomial of gelu_table.h, for results that bf16 arithmetic takes up: twelve operations,
// none of which is a shuffle.
template <typename V>
struct PolynomialGelu {
  template <int n>
  [[gnu::always_inline]] static void apply(V (&x)[n]) {
    constexpr int kLast = sizeof kGeluBf16 / sizeof kGeluBf16[0] - 1;
    V r[n], square[n], q[n];
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) {
      x[i] = max(V::broadcast(-kGeluBf16Limit), x[i]);
      r[i] = min(V::broadcast(kGeluBf16Limit), x[i]);
      square[i] = r[i] * r[i];
      q[i] = V::broadcast(kGeluBf16[kLast]);
    }
#pragma GCC unroll 8
    for (int k = kLast - 1; k >= 0; --k) {
#pragma GCC unroll 4
      for (int i = 0; i < n; ++i) q[i] = fma(q[i], square[i], V::broadcast(kGeluBf16[k]));
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) x[i] = x[i] * fma(r[i], q[i], V::broadcast(0.5f));
  }
};

// finish(vectors, first column) for the GELUs of a row of `cols` values, two vectors at a time.
template <typename Gelu, typename Vec, typename Finish>
[[gnu::always_inline]] inline void simd_gelu_row(const float* in, int cols, const Finish& finish) {
  constexpr int kLanes = Vec::kLanes;
  int j = 0;
  for (; j + 2 * kLanes <= cols; j += 2 * kLanes) {
    Vec v[2] = {Vec::load(in + j), Vec::load(in + j + kLanes)};
    Gelu::apply(v);
    finish(v, j);
  }
  if (j < cols) {
    Vec v[1] = {Vec::load(in + j)};
    Gelu::apply(v);
    finish(v, j);
  }
}

template <typename Panel, typename Gelu>
void simd_gelu(const TileView& tile) {
  using Vec = typename Panel::Vec;
  const Panel panel;
  for (int r = 0; r < tile.rows; ++r) {
    auto* out = static_cast<typename Panel::Element*>(tile.out) + r * tile.ld_out;
    simd_gelu_row<Gelu, Vec>(tile.in + r * tile.ld_in, tile.cols,
                             [&]<int n>(const Vec(&v)[n], int j) {
                               if constexpr (n == 2) {
                                 store_pair(panel, v[0], v[1], out + j);
                               } else {
                                 panel.store(v[0], out + j);
                               }
                             });
  }
}

template <typename Vec, typename Gelu>
void simd_add_gelu(const TileView& tile) {
  for (int r = 0; r < tile.rows; ++r) {
    float* out = static_cast<float*>(tile.out) + r * tile.ld_out;
    simd_gelu_row<Gelu, Vec>(tile.in + r * tile.ld_in, tile.cols,
                             [&]<int n>(const Vec(&v)[n], int j) {
#pragma GCC unroll 2
                               for (int i = 0; i < n; ++i) {
                                 float* to = out + j + i * Vec::kLanes;
                                 (Vec::load(to) + v[i]).store(to);
                               }
                             });
  }
}

template <typename Vec>
void simd_fold_norm(const ImageNorm& norm, const float* gamma, const float* beta, int64_t n,
                    float* scale, float* shift) {
  const Vec minus_mean = Vec::broadcast(-norm.mean), rstd = Vec::broadcast(norm.rstd);
  int64_t i = 0;
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) {
    const Vec factor = rstd * Vec::load(gamma + i);
    factor.store(scale + i);
    fma(minus_mean, factor, Vec::load(beta + i)).store(shift + i);
  }
  if (i == n) return;
  const Vec factor = rstd * Vec::load_partial(gamma + i, n - i);
  factor.store_partial(scale + i, n - i);
  fma(minus_mean, factor, Vec::load_partial(beta + i, n - i)).store_partial(shift + i, n - i);
}

// GELU policy of a norm alone.
template <typename V>
struct NoGelu {
  template <int n>
  [[gnu::always_inline]] static void apply(V (&)[n]) {}
};

// Rows of norm(x), and of GELU of it, as `panel` stores them.
template <typename Gelu, typename Panel>
[[gnu::always_inline]] inline void simd_normalize_rows(const Panel& panel, const NormRows& rows,
                                                       const NormArgs& norm) {
  using Vec = typename Panel::Vec;
  constexpr int kLanes = Vec::kLanes;
  // Copies, because the compiler must think that a store to a row could change the arguments.
  const float *scale = norm.scale, *shift = norm.shift, *x = rows.x;
  auto* y = static_cast<typename Panel::Element*>(rows.y);
  const int64_t ld_x = rows.ld_x, ld_y = rows.ld_y, n = rows.n;
  const auto normed = [&](int64_t i) {
    return fma(Vec::load(x + i), Vec::load(scale + i), Vec::load(shift + i));
  };
  for (int64_t r = rows.rows; r > 0; --r, x += ld_x, y += ld_y) {
    int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      Vec v[2] = {normed(i), normed(i + kLanes)};
      Gelu::apply(v);
      store_pair(panel, v[0], v[1], y + i);
    }
    if (i + kLanes <= n) {
      Vec v[1] = {normed(i)};
      Gelu::apply(v);
      panel.store(v[0], y + i);
      i += kLanes;
    }
    if (i < n) {
      const int64_t rest = n - i;
      Vec v[1] = {fma(Vec::load_partial(x + i, rest), Vec::load_partial(scale + i, rest),
                      Vec::load_partial(shift + i, rest))};
      Gelu::apply(v);
      panel.store_partial(v[0], y + i, rest);
    }
  }
}

template <typename Panel, typename Gelu>
void simd_normalize(const NormRows& rows, const NormArgs& norm) {
  simd_normalize_rows<Gelu>(Panel(), rows, norm);
}

// Values as `panel` stores them.
template <typename Panel>
[[gnu::always_inline]] inline void simd_convert_values(const Panel& panel, const float* x, void* y,
                                                       int64_t n) {
  using Vec = typename Panel::Vec;
  auto* out = static_cast<typename Panel::Element*>(y);
  int64_t i = 0;
  for (; i + 2 * Vec::kLanes <= n; i += 2 * Vec::kLanes) {
    store_pair(panel, Vec::load(x + i), Vec::load(x + i + Vec::kLanes), out + i);
  }
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) panel.store(Vec::load(x + i), out + i);
  if (i < n) panel.store_partial(Vec::load_partial(x + i, n - i), out + i, n - i);
}

template <typename Panel>
void simd_convert(const float* x, void* y, int64_t n, const Quantization&) {
  simd_convert_values(Panel(), x, y, n);
}

template <typename Vec>
void simd_relu(float* x, int64_t ld, int64_t rows, int64_t n) {
  const Vec zero = Vec::broadcast(0.0f);
  for (; rows > 0; --rows, x += ld) {
    int64_t i = 0;
    for (; i + Vec::kLanes <= n; i += Vec::kLanes) max(zero, Vec::load(x + i)).store(x + i);
    if (i < n) max(zero, Vec::load_partial(x + i, n - i)).store_partial(x + i, n - i);
  }
}

// The statistics of `rows` rows of n >= 1 values: so many sums in flight hide their latency, which
// short rows would wait for.
template <typename Vec, int rows>
[[gnu::always_inline]] inline void simd_row_stats_of(const float* x, int64_t ld, int64_t n,
                                                     RowStats* stats) {
  constexpr int kParts = 16 / Vec::kLanes;  // vectors of 16 values
  const int64_t whole = n / 16 * 16;
  Vec sums[rows][kParts];
  // Adds f(vector of x, its column's vector of means) over the row.
  const auto add_up = [&](const float(&means)[rows][16], auto f) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) sums[r][p] = Vec::broadcast(0.0f);
    }
    for (int64_t i = 0; i < whole; i += 16) {
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) {
          sums[r][p] =
              f(sums[r][p], Vec::load(x + r * ld + i + p * Vec::kLanes), Vec::load(means[r]));
        }
      }
    }
    for (int r = 0; r < rows; ++r) {
      for (int p = 0; p < kParts; ++p) {
        const int64_t begin = whole + p * Vec::kLanes, rest = n - begin;
        if (rest <= 0) break;
        const int64_t lanes = rest < Vec::kLanes ? rest : Vec::kLanes;
        sums[r][p] = f(sums[r][p], Vec::load_partial(x + r * ld + begin, lanes),
                       Vec::load_partial(means[r], lanes));
      }
    }
  };
  const auto total = [&](int r) {
    // Halves added: 16 lanes to 8, to 4, to 2, to 1, on every ISA.
    if constexpr (kParts == 1) return sums[r][0].sum();
    if constexpr (kParts == 2) return (sums[r][0] + sums[r][1]).sum();
    if constexpr (kParts == 4) {
      return ((sums[r][0] + sums[r][2]) + (sums[r][1] + sums[r][3])).sum();
    }
  };
  float means[rows][16] = {};
  add_up(means, [](Vec sum, Vec value, Vec) { return sum + value; });
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    stats[r].sum = total(r);
    const Vec mean = Vec::broadcast(stats[r].sum / static_cast<float>(n));
    for (int p = 0; p < kParts; ++p) mean.store(means[r] + p * Vec::kLanes);
  }
  add_up(means, [](Vec sum, Vec value, Vec mean) {
    const Vec difference = value - mean;
    return fma(difference, difference, sum);
  });
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) stats[r].m2 = total(r);
}

template <typename Vec>
void simd_row_stats(const float* x, int64_t ld, int64_t rows, int64_t n, RowStats* stats) {
  if (n == 0) {
    for (int64_t r = 0; r < rows; ++r) stats[r] = {0, 0};
    return;
  }
  constexpr int kRows = 4;
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    simd_row_stats_of<Vec, kRows>(x + r * ld, ld, n, stats + r);
  }
  for (; r < rows; ++r) simd_row_stats_of<Vec, 1>(x + r * ld, ld, n, stats + r);
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

}  // namespace asmlp
