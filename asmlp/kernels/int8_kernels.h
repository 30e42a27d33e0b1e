// The part of a kernel set that int8 has in the place of `tiles`: products of bytes with exact
// int32 sums, and what turns the sums into fp32 and into the panels of the next product.
//
// Weights are symmetric, in -127..127, with a scale for each output channel; rows have one scale
// and one zero point for the whole matrix. With q' = what the panel holds and z' = panel_zero():
//   value[r][j] = fma(float(sum over k of (q'[r][k] - z') * w[k][j]), scale[j], bias[j])
// where the zero points enter as the int32 value from which the sums start. The conversion to
// float, fma, GELU and so on are single operations of IEEE arithmetic in a fixed order: every ISA
// gives the same bits.
#pragma once

#include "asmlp/kernels/kernels.h"

namespace asmlp {

// More rows of a weight could overflow an int32 sum of 255 * 127.
inline constexpr int64_t kMaxInt8Depth = 65536;

// A column of tiles, as TileArgs:
//   sums[r][j] = start[j] + sum over k < depth of A[r][k] * B[k][j],  j < tile_cols,
// exact, modulo 2^32 on the way.
struct Int8TileArgs {
  const void* a;         // panel elements; rows at any alignment
  int64_t lda;           // elements between rows of A
  const std::byte* b;    // depth x tile_cols of a PackedMatrix panel, 64-byte aligned
  const int32_t* start;  // tile_cols values, 64-byte aligned; null: the sums are added to
  int32_t* sums;         // rows are tile_cols apart; 64-byte aligned
  int64_t depth;         // a multiple of depth_step
  int64_t tiles;
  const std::byte* next;  // see TileArgs, but for every depth_group
  int64_t next_step;
};
using Int8TileKernel = void (*)(const Int8TileArgs& args);

// Finished sums of `rows` x tile_cols, to be turned into values (see above).
struct Int8Sums {
  const int32_t* sums;  // rows are tile_cols apart
  const float* scale;   // tile_cols values each: scale of the rows * scale of the column
  const float* bias;
  void* out;  // fp32, or panel elements for gelu_panel
  int64_t ld_out;
  int rows;
  Quantization quantization;  // of the panel
};
using Int8Finish = void (*)(const Int8Sums& sums);

struct Int8Kernels {
  // A packed panel holds so many k of a column side by side, column after column: element k of
  // column j is byte (k / depth_group * tile_cols + j) * depth_group + k % depth_group.
  int depth_group;
  Int8TileKernel tiles[kMaxTileRows + 1];  // by rows of a tile, 1..tile_rows
  Int8Finish store;                        // out = value
  Int8Finish add;                          // out = out + value
  Int8Finish gelu;                         // out = GELU(value)
  Int8Finish add_gelu;                     // out = out + GELU(value)
  Int8Finish gelu_panel;                   // out, elements of this set = GELU(value)
  const KernelSet* base;                   // base_kernel_set()
};

// KernelSet::gemm of int8 sets. TileStart::kAccumulate and a part of the depth are for other
// precisions: an int32 sum takes all of the depth.
void gemm_int8(const PackedMatrix& weight, const GemmBlock& block, TileStart start, TileEnd end);

}  // namespace asmlp
