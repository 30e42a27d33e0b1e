// The portable kernels: short, obviously right, the oracle of every other set.
#include <cmath>
#include <numeric>

#include "asmlp/kernels/kernels.h"

namespace asmlp {
namespace {

// 4 x 16: small enough for the accumulators to stay in the 16 registers of any SIMD baseline.
constexpr int kRows = 4;
constexpr int kCols = 16;

template <int rows>
void tile(const TileArgs& args, TileStart start) {
  float sums[rows][kCols];
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < kCols; ++j) {
      const float bias = start == TileStart::kAccumulate ? 0.0f : args.bias[j];
      const float old = start == TileStart::kBias ? 0.0f : args.c[r * args.ldc + j];
      sums[r][j] = old + bias;
    }
  }
  for (int64_t k = 0; k < args.depth; ++k) {
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < kCols; ++j) {
        sums[r][j] += args.a[r * args.lda + k] * args.b[k * kCols + j];
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < kCols; ++j) args.c[r * args.ldc + j] = sums[r][j];
  }
}

float gelu_of(float x) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f)); }

float norm_of(float x, int64_t c, const NormArgs& norm) {
  return (x - norm.mean) * norm.rstd * norm.gamma[c] + norm.beta[c];
}

void gelu(float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = gelu_of(x[i]);
}

void add_gelu(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += gelu_of(x[i]);
}

void normalize(const float* x, float* y, int64_t n, const NormArgs& norm) {
  for (int64_t i = 0; i < n; ++i) y[i] = norm_of(x[i], i, norm);
}

void normalize_gelu(const float* x, float* y, int64_t n, const NormArgs& norm) {
  for (int64_t i = 0; i < n; ++i) y[i] = gelu_of(norm_of(x[i], i, norm));
}

int64_t peak_loop(int64_t steps) {
  constexpr int kChains = 32;
  float sums[kChains] = {};
  for (int64_t step = 0; step < steps; ++step) {
    for (int i = 0; i < kChains; ++i) sums[i] = sums[i] * 0.999f + 0.001f;
  }
  volatile float keep = std::accumulate(sums, sums + kChains, 0.0f);
  (void)keep;
  return steps * kChains * 2;
}

RowStats row_stats(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const double mean = n > 0 ? sum / static_cast<double>(n) : 0;
  double m2 = 0;
  for (int64_t i = 0; i < n; ++i) m2 += (x[i] - mean) * (x[i] - mean);
  return {static_cast<float>(sum), static_cast<float>(m2)};
}

}  // namespace

const KernelSet& reference_kernels() {
  static const KernelSet kSet{
      .isa = Isa::kReference,
      .tile_rows = kRows,
      .tile_cols = kCols,
      .tile = {nullptr, tile<1>, tile<2>, tile<3>, tile<4>},
      .gelu = gelu,
      .add_gelu = add_gelu,
      .normalize = normalize,
      .normalize_gelu = normalize_gelu,
      .row_stats = row_stats,
      .peak_loop = peak_loop,
      .bf16_dot = false,
  };
  return kSet;
}

}  // namespace asmlp
