// The kernels of one instruction set, as plain function pointers.
//
// Every ISA has the same set; `reference_kernels()` is the oracle of all tests. A set is chosen
// once, when a Model is packed, and never inside a loop. An ISA's code lives in its own source
// file, which alone is compiled with that ISA's flags, and in types of its own namespace, so that
// the linker cannot merge it into the baseline.
#pragma once

#include <cstdint>

#include "asmlp/core/cpu.h"

namespace asmlp {

inline constexpr int kMaxTileRows = 16;  // upper bound of KernelSet::tile_rows

// What a C tile starts from before the products are added.
enum class TileStart {
  kBias,            // C = bias + A B
  kAccumulate,      // C = C + A B            (a further block of the depth)
  kBiasAccumulate,  // C = C + bias + A B     (the residual stream)
};

// One tile of a matrix product. `rows` rows of A against one packed column panel of B:
//   C[r][j] = start + sum over k < depth of A[r * lda + k] * B[k * tile_cols + j],  j < tile_cols
// summed in ascending k by fused or separate multiply-add, one accumulator per element: the bits of
// an element do not depend on the tile it is in.
struct TileArgs {
  const float* a;
  int64_t lda;        // floats between rows of A
  const float* b;     // depth x tile_cols, 64-byte aligned
  const float* bias;  // tile_cols values; not read with kAccumulate
  float* c;           // 32-byte aligned rows
  int64_t ldc;        // floats between rows of C
  int64_t depth;
};
using TileKernel = void (*)(const TileArgs& args, TileStart start);

// Parameters of GroupNorm(1, C) for one image: y = (x - mean) * rstd * gamma[c] + beta[c].
struct NormArgs {
  float mean;
  float rstd;
  const float* gamma;
  const float* beta;
};

// Sum of n values and sum of squared differences from their own mean.
struct RowStats {
  float sum;
  float m2;
};

struct KernelSet {
  Isa isa;
  int tile_rows;                      // most rows of a tile
  int tile_cols;                      // columns of a packed panel of B
  TileKernel tile[kMaxTileRows + 1];  // by number of rows, 1..tile_rows

  // x[i] = GELU(x[i]) = x/2 (1 + erf(x / sqrt 2)); |error| <= 4e-7 * max(1, |x|).
  void (*gelu)(float* x, int64_t n);
  // y[i] += GELU(x[i]).
  void (*add_gelu)(const float* x, float* y, int64_t n);
  // y[i] = norm(x[i]); x == y is allowed.
  void (*normalize)(const float* x, float* y, int64_t n, const NormArgs& norm);
  // y[i] = GELU(norm(x[i])); x == y is allowed.
  void (*normalize_gelu)(const float* x, float* y, int64_t n, const NormArgs& norm);
  RowStats (*row_stats)(const float* x, int64_t n);

  // Multiply-adds in registers, as fast as the instruction of the tiles allows (peak.h); returns
  // the number of floating-point operations done.
  int64_t (*peak_loop)(int64_t steps);
  bool bf16_dot;  // that instruction is the bf16 dot product, not the fp32 FMA
};

// The set of an ISA that available_isas() lists.
const KernelSet& kernel_set(Isa isa, Precision precision = Precision::kFp32);

const KernelSet& reference_kernels();
const KernelSet& avx2_kernels();  // only in x86-64 builds

}  // namespace asmlp
