// The portable kernels: short, obviously right, the oracle of every other set.
#include <cmath>
#include <numeric>

#include "asmlp/core/tensor.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {
namespace {

// 4 x 16: small enough for the accumulators to stay in the 16 registers of any SIMD baseline.
constexpr int kRows = 4;
constexpr int kCols = 16;

// Element [r][k] of A is at r * lda + k, or at k * lda + r when it is transposed.
template <int rows, bool transposed = false>
void tiles(const TileArgs& args, TileStart start) {
  const float* a = static_cast<const float*>(args.a);
  const float* b = static_cast<const float*>(args.b);
  float* c = args.c;
  const int64_t row_step = transposed ? 1 : args.lda, k_step = transposed ? args.lda : 1;
  for (int64_t t = 0; t < args.tiles; ++t, a += rows * row_step, c += rows * args.ldc) {
    float sums[rows][kCols];
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < kCols; ++j) {
        const float bias = start == TileStart::kAccumulate ? 0.0f : args.bias[j];
        const float old = start == TileStart::kBias ? 0.0f : c[r * args.ldc + j];
        sums[r][j] = old + bias;
      }
    }
    for (int64_t k = 0; k < args.depth; ++k) {
      for (int r = 0; r < rows; ++r) {
        for (int j = 0; j < kCols; ++j) {
          sums[r][j] += a[r * row_step + k * k_step] * b[k * kCols + j];
        }
      }
    }
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < kCols; ++j) c[r * args.ldc + j] = sums[r][j];
    }
  }
}

float gelu_of(float x) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f)); }

void fold_norm(const ImageNorm& norm, const float* gamma, const float* beta, int64_t n,
               float* scale, float* shift) {
  for (int64_t c = 0; c < n; ++c) {
    scale[c] = norm.rstd * gamma[c];
    shift[c] = std::fma(-norm.mean, scale[c], beta[c]);
  }
}

// A value as the panel keeps it.
template <Precision precision>
float panel_value(float x) {
  return precision == Precision::kFp32 ? x : bf16_to_f32(f32_to_bf16(x));
}

// out = f(in, out) for every element of a tile.
template <typename Function>
void for_tile(const TileView& tile, Function f) {
  float* out = static_cast<float*>(tile.out);
  for (int r = 0; r < tile.rows; ++r) {
    for (int j = 0; j < tile.cols; ++j) {
      f(tile.in[r * tile.ld_in + j], out[r * tile.ld_out + j]);
    }
  }
}

void gelu(const TileView& tile) {
  for_tile(tile, [](float in, float& out) { out = gelu_of(in); });
}

void add_gelu(const TileView& tile) {
  for_tile(tile, [](float in, float& out) { out += gelu_of(in); });
}

template <Precision precision>
void gelu_panel(const TileView& tile) {
  for_tile(tile, [](float in, float& out) { out = panel_value<precision>(gelu_of(in)); });
}

// Every row of out = f(norm(x)).
template <typename Function>
void for_norm(const NormRows& rows, const NormArgs& norm, Function f) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* x = rows.x + r * rows.ld_x;
    float* y = static_cast<float*>(rows.y) + r * rows.ld_y;
    for (int64_t c = 0; c < rows.n; ++c) y[c] = f(x[c] * norm.scale[c] + norm.shift[c]);
  }
}

template <Precision precision>
void normalize(const NormRows& rows, const NormArgs& norm) {
  for_norm(rows, norm, panel_value<precision>);
}

template <Precision precision>
void normalize_gelu(const NormRows& rows, const NormArgs& norm) {
  for_norm(rows, norm, [](float x) { return panel_value<precision>(gelu_of(x)); });
}

template <Precision precision>
void convert(const float* x, void* y, int64_t n, const Quantization&) {
  float* out = static_cast<float*>(y);
  for (int64_t i = 0; i < n; ++i) out[i] = panel_value<precision>(x[i]);
}

void relu(float* x, int64_t ld, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, x += ld) {
    for (int64_t i = 0; i < n; ++i) x[i] = x[i] < 0 ? 0 : x[i];
  }
}

void row_stats(const float* x, int64_t ld, int64_t rows, int64_t n, RowStats* stats) {
  for (int64_t r = 0; r < rows; ++r, x += ld) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    const double mean = n > 0 ? sum / static_cast<double>(n) : 0;
    double m2 = 0;
    for (int64_t i = 0; i < n; ++i) m2 += (x[i] - mean) * (x[i] - mean);
    stats[r] = {static_cast<float>(sum), static_cast<float>(m2)};
  }
}

void widen(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = bf16_to_f32(x[i]);
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

template <Precision precision>
KernelSet make_set() {
  const bool bf16 = precision == Precision::kBf16;
  return {
      .isa = Isa::kReference,
      .precision = precision,
      .element = bf16 ? PanelElement::kF32Rounded : PanelElement::kF32,
      .depth_step = 1,
      .depth_group = 1,
      .gemm = nullptr,
      .tile_rows = kRows,
      .tile_cols = kCols,
      .tiles = {nullptr, tiles<1>, tiles<2>, tiles<3>, tiles<4>},
      .transposed_tiles = {nullptr, bf16 ? nullptr : tiles<1, true>,
                           bf16 ? nullptr : tiles<2, true>, bf16 ? nullptr : tiles<3, true>,
                           bf16 ? nullptr : tiles<4, true>},
      .gelu = gelu,
      .add_gelu = add_gelu,
      .gelu_panel = gelu_panel<precision>,
      .fold_norm = fold_norm,
      .normalize = normalize<Precision::kFp32>,
      .normalize_panel = normalize<precision>,
      .normalize_gelu_panel = normalize_gelu<precision>,
      .convert_panel = convert<precision>,
      .relu = relu,
      .row_stats = row_stats,
      .widen = widen,
      .peak_loop = peak_loop,
      .instruction = "fma",
      .bf16_pairs = false,
  };
}

}  // namespace

const KernelSet& reference_kernels(Precision precision) {
  static const KernelSet kFp32 = make_set<Precision::kFp32>(), kBf16 = make_set<Precision::kBf16>();
  return precision == Precision::kBf16 ? kBf16 : kFp32;
}

}  // namespace asmlp
