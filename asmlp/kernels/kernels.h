// The kernels of one instruction set and precision, as plain function pointers.
//
// Every ISA has the same set; the reference sets are the oracle of all tests. A set is chosen once,
// when a Model is packed, and never inside a loop. An ISA's code lives in its own source file,
// which alone is compiled with that ISA's flags, and in types of its own namespace, so that the
// linker cannot merge it into the baseline (tools/check_isa_symbols.py).
#pragma once

#include <cstddef>
#include <cstdint>

#include "asmlp/core/cpu.h"

namespace asmlp {

inline constexpr int kMaxTileRows = 32;  // upper bound of KernelSet::tile_rows

// What a C tile starts from before the products are added.
enum class TileStart {
  kBias,            // C = bias + A B
  kAccumulate,      // C = C + A B            (a further block of the depth)
  kBiasAccumulate,  // C = C + bias + A B     (the residual stream)
};

// A column of tiles of a matrix product: tiles * rows rows of A, `rows` at a time, against one
// packed column panel of B:
//   C[r][j] = start + sum over k < depth of A[r][k] * B[k][j],  j < tile_cols
// one accumulator per element, in an order of k that depends on nothing: the bits of an element do
// not depend on the tile it is in.
struct TileArgs {
  const void* a;      // panel elements (see PanelElement); rows at any alignment
  int64_t lda;        // elements between rows of A
  const void* b;      // depth x tile_cols of a PackedMatrix panel, 64-byte aligned; with
                      // PanelElement::kBf16 in bf16, otherwise fp32
  const float* bias;  // tile_cols values; not read with kAccumulate
  float* c;
  int64_t ldc;    // floats between rows of C
  int64_t depth;  // a multiple of depth_step
  int64_t tiles;
  // What will be read next, brought nearer meanwhile: every two k, the line at `next` is asked for
  // and `next` moves on by next_step bytes. In one burst the requests would block the loads.
  const std::byte* next;
  int64_t next_step;
};
using TileKernel = void (*)(const TileArgs& args, TileStart start);

// What a panel of A holds. Gathers write it, tiles read it.
enum class PanelElement {
  kF32,         // precision fp32
  kF32Rounded,  // precision bf16 without a bf16 instruction: bf16 values, each in a float
  kBf16,        // precision bf16 with an instruction for pairs of bf16 values
  kBf16Split,   // precision bf16x3: bf16_parts(), the upper part in the upper half of a word
  // Precision int8: the quantized value q in -128..127 as
  kInt8,   // a byte
  kUint8,  // a byte that holds q + 128
  kInt16,  // a 16-bit integer
};
inline int64_t size_of(PanelElement element) {
  switch (element) {
    case PanelElement::kInt8:
    case PanelElement::kUint8:
      return 1;
    case PanelElement::kBf16:
    case PanelElement::kInt16:
      return 2;
    default:
      return 4;
  }
}

// How the rows of an int8 layer's input are rounded:
//   q = clamp(round(x * inverse_scale) + zero_point, -128, 127)
// with one rounding of the product to fp32 and one to the nearest integer, ties to even; a NaN
// becomes -128. Sets of other precisions ignore it.
struct Quantization {
  float inverse_scale = 1;
  int32_t zero_point = 0;
};
// What a panel of that element holds where x is zero.
inline int32_t panel_zero(PanelElement element, const Quantization& quantization) {
  return quantization.zero_point + (element == PanelElement::kUint8 ? 128 : 0);
}

// A number as upper + lower, two bf16 values: the nearest bf16 and, cut off, the rest; the sum is
// x to 2^-16 |x|. An infinity becomes NaN.
struct Bf16Parts {
  uint16_t upper;
  uint16_t lower;
};
Bf16Parts bf16_parts(float x);

// GroupNorm(1, C) of an image is y = (x - mean) * rstd * gamma[c] + beta[c].
struct ImageNorm {
  float mean;
  float rstd;
};
// The same as one multiply-add: y = x * scale[c] + shift[c]; KernelSet::fold_norm makes the
// factors.
struct NormArgs {
  const float* scale;
  const float* shift;
  Quantization quantization = {};  // of the panel that is written
};
// `rows` rows of n values of one image; they are ld_x floats and ld_y elements apart.
struct NormRows {
  const float* x;
  int64_t ld_x;
  void* y;
  int64_t ld_y;
  int64_t rows;
  int64_t n;
};

// Sum of n values and sum of squared differences from their own mean.
struct RowStats {
  float sum;
  float m2;
};

// A block of `rows` x `cols`; rows are ld_in and ld_out elements apart. cols is a multiple of
// tile_cols.
struct TileView {
  const float* in;
  int64_t ld_in;
  void* out;
  int64_t ld_out;
  int rows;
  int cols;
  Quantization quantization = {};  // of a panel that is written
};

class PackedMatrix;
struct GemmBlock;
struct Int8Kernels;
enum class TileEnd;

struct KernelSet {
  Isa isa;
  Precision precision;
  PanelElement element;
  int depth_step;  // k values that a tile takes together: 2 for the bf16 dot product, 32 with AMX
  // k values of a column that lie side by side in a packed panel: 1, or what one lane of the
  // instruction takes: 2 for the bf16 dot product and AMX, 4 for ARM's bf16 matrix product.
  int depth_group;
  // gemm() of gemm.h for matrices packed for this set; null where gemm.cc loops over `tiles`.
  void (*gemm)(const PackedMatrix& weight, const GemmBlock& block, TileStart start, TileEnd end);
  int tile_rows;  // most rows of a tile
  int tile_cols;  // columns of a packed panel of B
  // By rows of a tile, 1..tile_rows; null in a set with `gemm`.
  TileKernel tiles[kMaxTileRows + 1];
  // The same with A transposed, A[r][k] at a + k * lda + r: the gradient of a
  // weight sums over pixels. With fp32 panels only, null in the other sets.
  TileKernel transposed_tiles[kMaxTileRows + 1];

  // GELU(x) = x/2 (1 + erf(x / sqrt 2)) of a finished tile, |error| <= 4e-7 * max(1, |x|). In sets
  // with bf16_pairs, whose next product takes it up in bf16, |error| <= 2^-10 |y| + 1.3e-4: an
  // eighth of a step of bf16, and the tail below -4, which is 0.
  void (*gelu)(const TileView& tile);        // out, fp32 = GELU(in)
  void (*add_gelu)(const TileView& tile);    // out, fp32 = out + GELU(in)
  void (*gelu_panel)(const TileView& tile);  // out, panel elements = GELU(in)

  // scale[c] = rstd * gamma[c], shift[c] = beta[c] - mean * scale[c] with one rounding, c < n.
  void (*fold_norm)(const ImageNorm& norm, const float* gamma, const float* beta, int64_t n,
                    float* scale, float* shift);
  // y = norm(x), fp32; a row may be written where it is read, here and below.
  void (*normalize)(const NormRows& rows, const NormArgs& norm);
  // The same into a panel of A.
  void (*normalize_panel)(const NormRows& rows, const NormArgs& norm);
  // y = GELU(norm(x)) into a panel.
  void (*normalize_gelu_panel)(const NormRows& rows, const NormArgs& norm);
  // y[i] = x[i] into a panel; x == y is allowed.
  void (*convert_panel)(const float* x, void* y, int64_t n, const Quantization& quantization);
  // x = max(x, 0) for `rows` rows of n values, ld floats apart; a NaN stays one.
  void (*relu)(float* x, int64_t ld, int64_t rows, int64_t n);
  // stats[r] of the n values at x + r * ld, for every r < rows. What a row gets does not depend on
  // the others, nor on the vectorized ISA: element i is summed in lane i % 16.
  void (*row_stats)(const float* x, int64_t ld, int64_t rows, int64_t n, RowStats* stats);
  // y[i] = x[i], bf16 to fp32; n is a multiple of tile_cols. Null in a set with
  // bf16_pairs.
  void (*widen)(const uint16_t* x, float* y, int64_t n);

  // Multiply-adds in registers, as fast as the instruction of the tiles allows (peak.h); returns
  // the number of floating-point operations done.
  int64_t (*peak_loop)(int64_t steps);
  const char* instruction;  // that: "fma", "bf16 dot", "bf16 tile" (AMX), "bf16 matrix" (ARM)
  bool bf16_pairs;          // it takes pairs of bf16 values (PanelElement::kBf16)

  // Of int8 sets, else null (int8_kernels.h). An int8 set has no `tiles`, and all its
  // floating-point functions give the same bits on every ISA.
  const Int8Kernels* int8 = nullptr;
};

// The set of an ISA that available_isas() lists.
const KernelSet& kernel_set(Isa isa, Precision precision = Precision::kFp32);
// The set for what a model of that precision does not quantize: the one above, and for int8 an fp32
// set with the same bits on every ISA and with the same tile_cols.
const KernelSet& base_kernel_set(Isa isa, Precision precision);

const KernelSet& reference_kernels(Precision precision);
const KernelSet& avx2_kernels(Precision precision);  // these three only in x86-64 builds
const KernelSet& avx512_kernels(Precision precision);
// Precision bf16; for fp32 these two ISAs use avx512_kernels.
const KernelSet& avx512_bf16_kernels();
const KernelSet& avx512_amx_kernels(Precision precision);  // bf16 or bf16x3
const KernelSet& neon_kernels(Precision precision);        // these two only in 64-bit ARM builds
// Precision bf16 for Isa::kNeonMatrix.
const KernelSet& neon_bf16_kernels();

// Precision int8 (int8_kernels.h).
const KernelSet& reference_int8_kernels();
const KernelSet& avx2_int8_kernels();  // from here on only in x86-64 builds
const KernelSet& avx2_vnni_int8_kernels();
const KernelSet& avx512_vnni_int8_kernels();
const KernelSet& avx512_amx_int8_kernels();
const KernelSet& neon_int8_kernels();  // from here on only in 64-bit ARM builds
const KernelSet& neon_dot_int8_kernels();
const KernelSet& neon_matrix_int8_kernels();

}  // namespace asmlp
