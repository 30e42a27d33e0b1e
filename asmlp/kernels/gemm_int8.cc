#include <algorithm>

#include "asmlp/kernels/gemm.h"
#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {
namespace {

// What one pass over the rows keeps of W in the L1 cache, as in gemm.cc, and what a strip of rows
// keeps of sums there until they are finished.
constexpr int64_t kInt8PassBytes = 48 * 1024;
constexpr int64_t kStripBytes = 8 * 1024;

Int8Finish finish_of(const Int8Kernels& int8, TileStart start, TileEnd end, bool to_fp32) {
  switch (end) {
    case TileEnd::kStore:
      return start == TileStart::kBias ? int8.store : int8.add;
    case TileEnd::kGelu:
      return int8.gelu;
    case TileEnd::kAddGelu:
      return int8.add_gelu;
    case TileEnd::kGeluPanel:
      break;
  }
  return to_fp32 ? int8.gelu : int8.gelu_panel;
}

// The sums of rows [begin, end) of a block with one panel of W.
void sum_strip(const PackedMatrix& weight, const GemmBlock& block, int64_t panel, int64_t begin,
               int64_t end) {
  const KernelSet& kernels = weight.kernels();
  const Int8Kernels& int8 = *kernels.int8;
  const int64_t element = size_of(kernels.element), unit = kernels.depth_step;
  const int64_t depth = weight.padded_depth(), most = kInt8PassBytes / weight.row_bytes();
  const int64_t passes = std::max<int64_t>(1, (depth + most - 1) / most);
  // As few tiles as possible, as even as possible: the first `taller` ones have a row more.
  const int64_t rows = end - begin, tiles = (rows + kernels.tile_rows - 1) / kernels.tile_rows;
  const int64_t height = rows / tiles, taller = rows % tiles;
  const auto* a = static_cast<const std::byte*>(block.a) + begin * block.lda * element;
  auto* sums = reinterpret_cast<int32_t*>(block.scratch);
  Int8TileArgs args{};
  args.lda = block.lda;
  args.start = weight.start(panel);
  int64_t k = 0;
  for (int64_t pass = 1; pass <= passes; ++pass, args.start = nullptr) {
    const int64_t stop = pass == passes ? depth : depth / unit * pass / passes * unit;
    args.depth = stop - k;
    args.b = weight.panel(panel, k);
    args.next = args.b + args.depth * weight.row_bytes();
    args.next_step = int8.depth_group * weight.row_bytes() / tiles;
    args.a = a + k * element;
    args.sums = sums;
    if (taller > 0) {
      args.tiles = taller;
      int8.tiles[height + 1](args);
      args.next += taller * (args.depth / int8.depth_group) * args.next_step;
      args.a = a + (taller * (height + 1) * block.lda + k) * element;
      args.sums += taller * (height + 1) * weight.tile_cols();
    }
    args.tiles = tiles - taller;
    int8.tiles[height](args);
    k = stop;
  }
}

}  // namespace

void gemm_int8(const PackedMatrix& weight, const GemmBlock& block, TileStart start, TileEnd end) {
  const KernelSet& kernels = weight.kernels();
  const int64_t cols = weight.tile_cols();
  const PackedMatrix& next = block.next != nullptr ? *block.next : weight;
  const bool to_panel = end == TileEnd::kGeluPanel;
  const int64_t out_element = to_panel ? size_of(next.kernels().element) : int64_t{sizeof(float)};
  const Int8Finish finish =
      finish_of(*kernels.int8, start, end, next.kernels().element == PanelElement::kF32);
  const int64_t strip_rows = kStripBytes / (cols * int64_t{sizeof(int32_t)});
  const int64_t strips = (block.rows + strip_rows - 1) / strip_rows;
  auto* out = static_cast<std::byte*>(block.c);
  for (int64_t panel = block.panel_begin; panel < block.panel_end; ++panel) {
    for (int64_t strip = 0; strip < strips; ++strip) {
      const int64_t first = block.rows * strip / strips, last = block.rows * (strip + 1) / strips;
      sum_strip(weight, block, panel, first, last);
      finish({reinterpret_cast<const int32_t*>(block.scratch), weight.scale(panel),
              weight.bias(panel), out + (first * block.ldc + panel * cols) * out_element, block.ldc,
              static_cast<int>(last - first), next.quantization()});
    }
  }
}

}  // namespace asmlp
