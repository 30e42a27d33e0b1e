#include "asmlp/kernels/gemm.h"

#include <algorithm>

namespace asmlp {

PackedMatrix::PackedMatrix(const KernelSet& kernels, std::span<const float> weight,
                           std::span<const float> bias, int64_t cols, int64_t depth)
    : cols_(cols),
      depth_(depth),
      panels_((cols + kernels.tile_cols - 1) / kernels.tile_cols),
      tile_cols_(kernels.tile_cols),
      data_(panels_ * depth * kernels.tile_cols),
      bias_(panels_ * kernels.tile_cols) {
  for (int64_t col = 0; col < cols; ++col) {
    float* out = data_.data() + (col / tile_cols_) * depth * tile_cols_ + col % tile_cols_;
    for (int64_t k = 0; k < depth; ++k) out[k * tile_cols_] = weight[col * depth + k];
  }
  std::copy(bias.begin(), bias.end(), bias_.data());
}

namespace {

// Depth of one pass over a tile: kDepth x 16 floats of B are 16 to 24 kB, what a 32 kB L1 keeps
// beside the rows of A that stream past it.
constexpr int64_t kDepth = 384;

constexpr int64_t kMaxTileFloats = kMaxTileRows * 64;

// Rows [row, row + rows) of one column panel, whole depth, in passes of about kDepth.
void finish_tile(const KernelSet& kernels, const PackedMatrix& weight, int64_t panel, TileArgs args,
                 int rows, TileStart start) {
  const int64_t passes = std::max<int64_t>(1, (weight.depth() + kDepth - 1) / kDepth);
  const int64_t step = (weight.depth() + passes - 1) / passes;
  args.bias = weight.bias(panel);
  const float* a = args.a;
  for (int64_t k = 0; k < weight.depth(); k += step) {
    args.a = a + k;
    args.b = weight.panel(panel) + k * kernels.tile_cols;
    args.depth = std::min(step, weight.depth() - k);
    kernels.tile[rows](args, k == 0 ? start : TileStart::kAccumulate);
  }
}

}  // namespace

void gemm(const KernelSet& kernels, const PackedMatrix& weight, const GemmBlock& block,
          TileStart start, TileEnd end) {
  alignas(kAlignment) float scratch[kMaxTileFloats];
  const int64_t cols = kernels.tile_cols;
  for (int64_t panel = block.panel_begin; panel < block.panel_end; ++panel) {
    for (int64_t row = 0; row < block.rows; row += kernels.tile_rows) {
      const int rows = static_cast<int>(std::min<int64_t>(kernels.tile_rows, block.rows - row));
      float* c = block.c + row * block.ldc + panel * cols;
      TileArgs args{};
      args.a = block.a + row * block.lda;
      args.lda = block.lda;
      args.c = end == TileEnd::kAddGelu ? scratch : c;
      args.ldc = end == TileEnd::kAddGelu ? cols : block.ldc;
      finish_tile(kernels, weight, panel, args, rows, start);
      if (end == TileEnd::kStore) continue;
      for (int r = 0; r < rows; ++r) {  // the tile is still in L1
        if (end == TileEnd::kGelu) {
          kernels.gelu(c + r * block.ldc, cols);
        } else {
          kernels.add_gelu(scratch + r * cols, c + r * block.ldc, cols);
        }
      }
    }
  }
}

}  // namespace asmlp
