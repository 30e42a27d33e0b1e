// Matrix products over packed weights:  C[rows x cols] = start + A[rows x depth] * W.
#pragma once

#include <cstdint>

#include "asmlp/kernels/packed_matrix.h"

namespace asmlp {

// What happens to a finished tile.
enum class TileEnd {
  kStore,      // C = sum
  kGelu,       // C = GELU(sum), start kBias only (as for the two below)
  kAddGelu,    // C = C + GELU(sum)
  kGeluPanel,  // C is a panel of A for the next product: GELU(sum) in its panel elements
};

// A block of a product. C has panels * tile_cols columns (padding columns are written: they are
// zero because W's and the bias's are).
struct GemmBlock {
  const void* a;  // rows x padded_depth panel elements
  int64_t lda;    // elements between rows of A
  void* c;        // fp32, or panel elements with kGeluPanel
  int64_t ldc;    // elements between rows of C
  int64_t rows;
  int64_t panel_begin;  // columns [panel_begin, panel_end) * tile_cols are computed
  int64_t panel_end;
  float* scratch;  // gemm_scratch() floats, 64-byte aligned
  // Rows [depth_begin, depth_end) of W are summed, column 0 of A belonging to depth_begin; 0 and 0
  // take all.
  int64_t depth_begin = 0;
  int64_t depth_end = 0;
  // With kGeluPanel: the matrix that will read C; null for one packed for the same kernels and
  // (with int8) quantized alike.
  const PackedMatrix* next = nullptr;
};

// Floats of scratch memory that a block of `rows` needs; with PanelElement::kBf16Split, of up to
// `depth` values of k.
int64_t gemm_scratch(const KernelSet& kernels, int64_t rows, int64_t depth = 0);

void gemm(const PackedMatrix& weight, const GemmBlock& block, TileStart start, TileEnd end);

}  // namespace asmlp
