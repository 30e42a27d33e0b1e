// Matrix products over packed weights:  C[rows x cols] = start + A[rows x depth] * W.
#pragma once

#include <cstdint>
#include <span>

#include "asmlp/core/aligned.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {

// The weight of a linear layer, packed for one kernel set: column panels of tile_cols, each
// depth x tile_cols row-major, zero-padded to a whole panel; the bias padded likewise.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // `weight` is [cols][depth] row-major as in a state dict (out, in); `bias` has cols values or
  // none.
  PackedMatrix(const KernelSet& kernels, std::span<const float> weight, std::span<const float> bias,
               int64_t cols, int64_t depth);

  int64_t cols() const { return cols_; }
  int64_t depth() const { return depth_; }
  int64_t panels() const { return panels_; }
  const float* panel(int64_t index) const { return data_.data() + index * depth_ * tile_cols_; }
  const float* bias(int64_t panel) const { return bias_.data() + panel * tile_cols_; }

 private:
  int64_t cols_ = 0, depth_ = 0, panels_ = 0;
  int64_t tile_cols_ = 0;
  AlignedFloats data_, bias_;
};

// What happens to a finished tile.
enum class TileEnd {
  kStore,    // C = sum
  kGelu,     // C = GELU(sum)
  kAddGelu,  // C = C + GELU(sum), start kBias only
};

// A block of a product. Rows of A and C are `lda` and `ldc` floats apart; C has panels * tile_cols
// columns (padding columns are written: they are zero because W's and the bias's are).
struct GemmBlock {
  const float* a;
  int64_t lda;
  float* c;
  int64_t ldc;
  int64_t rows;
  int64_t panel_begin;  // columns [panel_begin, panel_end) * tile_cols are computed
  int64_t panel_end;
};

void gemm(const KernelSet& kernels, const PackedMatrix& weight, const GemmBlock& block,
          TileStart start, TileEnd end);

}  // namespace asmlp
