#include "asmlp/kernels/gemm.h"

#include <algorithm>

#include "asmlp/core/aligned.h"

namespace asmlp {
namespace {

// What one pass over the rows keeps of W in the L1 cache (32 kB and more), leaving room for the
// rows of A and C that stream past.
constexpr int64_t kPassBytes = 24 * 1024;

// [begin, end) of rows or depth in pieces of at most `most` that are as even as possible: a last
// piece of one or two rows would not fill the arithmetic units. Pieces begin at multiples of
// `unit`.
struct Pieces {
  int64_t total, unit, count;
  Pieces(int64_t total, int64_t most, int64_t unit)
      : total(total), unit(unit), count(std::max<int64_t>(1, (total + most - 1) / most)) {}
  int64_t begin(int64_t piece) const {
    return piece == count ? total : total / unit * piece / count * unit;
  }
};

// Depth of a pass, in what the tiles read: fp32, or bf16 for the dot product.
int64_t pass_depth(const KernelSet& kernels) {
  return kPassBytes / (kernels.tile_cols * (kernels.bf16_dot ? 2 : 4));
}

}  // namespace

int64_t gemm_scratch(const KernelSet& kernels, int64_t rows) {
  return (rows + pass_depth(kernels)) * kernels.tile_cols;
}

void gemm(const KernelSet& kernels, const PackedMatrix& weight, const GemmBlock& block,
          TileStart start, TileEnd end) {
  const int64_t cols = kernels.tile_cols, element = size_of(kernels.element);
  const int64_t depth_end = block.depth_end == 0 ? weight.padded_depth() : block.depth_end;
  const Pieces depth(depth_end - block.depth_begin, pass_depth(kernels), kernels.depth_step);
  const Pieces tiles(block.rows, kernels.tile_rows, 1);
  const auto* a = static_cast<const std::byte*>(block.a);
  auto* out = static_cast<std::byte*>(block.c);
  const int64_t out_element = end == TileEnd::kGeluPanel ? element : int64_t{sizeof(float)};
  const auto finish = end == TileEnd::kGelu      ? kernels.gelu
                      : end == TileEnd::kAddGelu ? kernels.add_gelu
                                                 : kernels.gelu_panel;

  const bool widens = kernels.precision == Precision::kBf16 && !kernels.bf16_dot;
  float* widened = block.scratch + round_up(block.rows * cols, 16);

  for (int64_t panel = block.panel_begin; panel < block.panel_end; ++panel) {
    for (int64_t pass = 0; pass < depth.count; ++pass) {
      const int64_t k = depth.begin(pass), steps = depth.begin(pass + 1) - k;
      const std::byte* b = weight.panel(panel, block.depth_begin + k);
      TileArgs args{};
      args.lda = block.lda;
      args.b = b;
      if (widens) {
        kernels.widen(reinterpret_cast<const uint16_t*>(b), widened, steps * cols);
        args.b = widened;
      }
      args.bias = weight.bias(panel);
      args.depth = steps;
      // Packed panels follow each other: the next pass or panel begins where this one ends. The
      // tiles of this pass fetch it together.
      const std::byte* next = b + steps * weight.row_bytes();
      args.next_step = 2 * weight.row_bytes() / tiles.count;
      for (int64_t tile = 0; tile < tiles.count; ++tile) {
        const int64_t row = tiles.begin(tile);
        const int rows = static_cast<int>(tiles.begin(tile + 1) - row);
        std::byte* c = out + (row * block.ldc + panel * cols) * out_element;
        args.next = next + tile * (steps / 2) * args.next_step;
        args.a = a + (row * block.lda + k) * element;
        args.c = end == TileEnd::kStore ? reinterpret_cast<float*>(c) : block.scratch + row * cols;
        args.ldc = end == TileEnd::kStore ? block.ldc : cols;
        kernels.tile[rows](args, pass == 0 ? start : TileStart::kAccumulate);
        if (end != TileEnd::kStore && pass + 1 == depth.count) {  // the tile is still in L1
          finish({args.c, cols, c, block.ldc, rows, static_cast<int>(cols)});
        }
      }
    }
  }
}

}  // namespace asmlp
