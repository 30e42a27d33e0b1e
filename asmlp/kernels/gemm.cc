#include "asmlp/kernels/gemm.h"

#include <algorithm>

#include "asmlp/core/aligned.h"

namespace asmlp {
namespace {

// What one pass over the rows keeps of W in the L1 cache (32 kB and more), leaving room for the
// rows of A and C that stream past.
constexpr int64_t kPassBytes = 48 * 1024;

// [begin, end) of the depth in `count` pieces of at most `most` that are as even as possible and
// begin at multiples of `unit`.
struct Passes {
  int64_t total, unit, count;
  Passes(int64_t total, int64_t most, int64_t unit)
      : total(total), unit(unit), count(std::max<int64_t>(1, (total + most - 1) / most)) {}
  int64_t begin(int64_t pass) const {
    return pass == count ? total : total / unit * pass / count * unit;
  }
};

// Depth of a pass, in what the tiles read: fp32, or bf16 for the dot product.
int64_t pass_depth(const KernelSet& kernels) {
  return kPassBytes / (kernels.tile_cols * (kernels.bf16_pairs ? 2 : 4));
}

}  // namespace

int64_t gemm_scratch(const KernelSet& kernels, int64_t rows, int64_t depth) {
  const int64_t tiles = (rows + pass_depth(kernels)) * kernels.tile_cols;
  // The parts of A apart from each other, rows an odd number of cache lines apart.
  const bool split = kernels.element == PanelElement::kBf16Split;
  return tiles + (split ? rows * (round_up(depth, kernels.depth_step) + 16) : 0);
}

void gemm(const PackedMatrix& weight, const GemmBlock& block, TileStart start, TileEnd end) {
  if (block.rows == 0) return;
  const KernelSet& kernels = weight.kernels();
  if (kernels.gemm != nullptr) return kernels.gemm(weight, block, start, end);
  const int64_t cols = kernels.tile_cols, element = size_of(kernels.element);
  const int64_t depth_end = block.depth_end == 0 ? weight.padded_depth() : block.depth_end;
  const Passes passes(depth_end - block.depth_begin, pass_depth(kernels), kernels.depth_step);
  // As few tiles as possible, as even as possible: the first `taller` ones have a row more. A last
  // tile of one or two rows would not fill the arithmetic units.
  const int64_t tiles = (block.rows + kernels.tile_rows - 1) / kernels.tile_rows;
  const int64_t height = block.rows / tiles, taller = block.rows % tiles;
  const auto* a = static_cast<const std::byte*>(block.a);
  auto* out = static_cast<std::byte*>(block.c);
  const PackedMatrix& next = block.next != nullptr ? *block.next : weight;
  const int64_t out_element = end == TileEnd::kGeluPanel ? size_of(next.kernels().element) : 4;
  const auto finish = end == TileEnd::kGelu      ? kernels.gelu
                      : end == TileEnd::kAddGelu ? kernels.add_gelu
                                                 : next.kernels().gelu_panel;
  const bool widens = kernels.precision == Precision::kBf16 && !kernels.bf16_pairs;
  float* widened = block.scratch + round_up(block.rows * cols, 16);

  TileArgs args{};
  args.lda = block.lda;
  args.ldc = end == TileEnd::kStore ? block.ldc : cols;
  for (int64_t panel = block.panel_begin; panel < block.panel_end; ++panel) {
    std::byte* c = out + panel * cols * out_element;
    float* sums = end == TileEnd::kStore ? reinterpret_cast<float*>(c) : block.scratch;
    args.bias = weight.bias(panel);
    for (int64_t pass = 0; pass < passes.count; ++pass) {
      const int64_t k = passes.begin(pass);
      args.depth = passes.begin(pass + 1) - k;
      const std::byte* b = weight.panel(panel, block.depth_begin + k);
      args.b = b;
      if (widens) {
        kernels.widen(reinterpret_cast<const uint16_t*>(b), widened, args.depth * cols);
        args.b = widened;
      }
      // Packed panels follow each other: the next pass or panel begins where this one ends. The
      // tiles of this pass fetch it together.
      args.next = b + args.depth * weight.row_bytes();
      args.next_step = 2 * weight.row_bytes() / tiles;
      args.a = a + k * element;
      args.c = sums;
      const TileStart from = pass == 0 ? start : TileStart::kAccumulate;
      if (taller > 0) {
        args.tiles = taller;
        kernels.tiles[height + 1](args, from);
        args.next += taller * (args.depth / 2) * args.next_step;
        args.a = a + (taller * (height + 1) * block.lda + k) * element;
        args.c += taller * (height + 1) * args.ldc;
      }
      args.tiles = tiles - taller;
      kernels.tiles[height](args, from);
    }
    if (end != TileEnd::kStore) {  // the sums are still in L1
      finish({sums, cols, c, block.ldc, static_cast<int>(block.rows), static_cast<int>(cols),
              next.quantization()});
    }
  }
}

}  // namespace asmlp
