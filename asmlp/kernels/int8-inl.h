// The kernels of precision int8, written once over vector types, as simd-inl.h does, whose rules
// hold here, too. Files that include this are compiled with -ffp-contract=off, so that all of them
// do the same floating-point operations, and use a Vec of 16 lanes with kGeluTable8.
//
// Required of Vec besides: from_int32(p), 16 int32 as fp32.
// A Panel says how a Vec is rounded and stored: Vec, Element, kElement, Panel(Quantization),
// store(v, p), store_partial(v, p, n).
// A Dot is the product of the tiles: Vector (of int32 sums), kLanes of it, kGroup values of k that
// it adds to a sum, kElementBytes of a value of A (kGroup of them are 4 bytes), kBBytes of B that
// load_b(p) reads for a vector, broadcast(p) of 4 bytes, load(p), store(p, v), zero(),
// dot(sum, a, b), keep(v).
#pragma once

#include "asmlp/kernels/int8_kernels.h"
#include "asmlp/kernels/simd-inl.h"

namespace asmlp {

// ------------------------------------------------------------------------- products
template <typename Dot, int rows>
[[gnu::noinline]] void int8_tiles(const Int8TileArgs& args) {
  using Vector = typename Dot::Vector;
  constexpr int kLanes = Dot::kLanes, kCols = 2 * kLanes;
  const int64_t a_stride = args.lda * Dot::kElementBytes;
  const int64_t a_bytes = args.depth * Dot::kElementBytes;
  const char* a_tile = static_cast<const char*>(args.a);
  int32_t* sums = args.sums;
  const std::byte* next = args.next;
  for (int64_t t = 0; t < args.tiles; ++t, a_tile += rows * a_stride, sums += rows * kCols) {
    Vector low[rows], high[rows];
    if (args.start != nullptr) {
      const Vector start_low = Dot::load(args.start), start_high = Dot::load(args.start + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) low[r] = start_low, high[r] = start_high;
    } else {
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        low[r] = Dot::load(sums + r * kCols);
        high[r] = Dot::load(sums + r * kCols + kLanes);
      }
    }
    const char* a[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) a[r] = a_tile + r * a_stride;
    const std::byte* b = args.b;
    for (int64_t k = 0; k < a_bytes; k += 4, b += 2 * Dot::kBBytes, next += args.next_step) {
      __builtin_prefetch(next, /*rw=*/0, /*locality=*/3);
      const Vector b_low = Dot::load_b(b), b_high = Dot::load_b(b + Dot::kBBytes);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        const Vector value = Dot::broadcast(a[r] + k);
        low[r] = Dot::dot(low[r], value, b_low);
        high[r] = Dot::dot(high[r], value, b_high);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      Dot::store(sums + r * kCols, low[r]);
      Dot::store(sums + r * kCols + kLanes, high[r]);
    }
  }
}

template <typename Dot>
int64_t int8_peak_loop(int64_t steps) {
  // Ten hide the latency of two a cycle and leave registers for the factors and a product.
  constexpr int kChains = 10;
  typename Dot::Vector sums[kChains], x = Dot::zero(), y = Dot::zero();
#pragma GCC unroll 10
  for (int i = 0; i < kChains; ++i) sums[i] = Dot::zero();
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 10
    for (int i = 0; i < kChains; ++i) {
      // Else products that do not take the sum would be computed once, or not at all.
      Dot::keep(x);
      Dot::keep(y);
      sums[i] = Dot::dot(sums[i], x, y);
      Dot::keep(sums[i]);  // in a register
    }
  }
  return steps * kChains * Dot::kLanes * Dot::kGroup * 2;
}

// ------------------------------------------------------------------------- elementwise
enum class Int8End { kStore, kAdd, kGelu, kAddGelu, kGeluPanel };

// Int8Finish for panels of `cols` columns.
template <typename Panel, int cols, Int8End end>
void int8_finish(const Int8Sums& args) {
  using Vec = typename Panel::Vec;
  const Panel panel(args.quantization);
  // Copies, because the compiler must think that a store to `out` could change `args`.
  const int rows = args.rows;
  const int64_t ld_out = args.ld_out;
  for (int j = 0; j < cols; j += Vec::kLanes) {
    const Vec scale = Vec::load(args.scale + j), bias = Vec::load(args.bias + j);
    const int32_t* sums = args.sums + j;
    auto* values = static_cast<float*>(args.out) + j;
    auto* elements = static_cast<typename Panel::Element*>(args.out) + j;
    for (int r = 0; r < rows; ++r, sums += cols, values += ld_out, elements += ld_out) {
      Vec value = fma(Vec::from_int32(sums), scale, bias);
      if constexpr (end != Int8End::kStore && end != Int8End::kAdd) value = simd_gelu_of(value);
      if constexpr (end == Int8End::kAdd || end == Int8End::kAddGelu) {
        value = Vec::load(values) + value;
      }
      if constexpr (end == Int8End::kGeluPanel) {
        panel.store(value, elements);
      } else {
        value.store(values);
      }
    }
  }
}

template <typename Panel>
void int8_gelu_panel(const TileView& tile) {
  using Vec = typename Panel::Vec;
  const Panel panel(tile.quantization);
  const int rows = tile.rows, cols = tile.cols;
  for (int r = 0; r < rows; ++r) {
    const float* in = tile.in + r * tile.ld_in;
    auto* out = static_cast<typename Panel::Element*>(tile.out) + r * tile.ld_out;
    for (int j = 0; j < cols; j += Vec::kLanes) {
      panel.store(simd_gelu_of(Vec::load(in + j)), out + j);
    }
  }
}

template <typename Panel>
void int8_convert(const float* x, void* y, int64_t n, const Quantization& quantization) {
  simd_convert_values(Panel(quantization), x, y, n);
}

template <typename Panel, typename Gelu>
void int8_normalize(const NormRows& rows, const NormArgs& norm) {
  simd_normalize_rows<Gelu>(Panel(norm.quantization), rows, norm);
}

// ------------------------------------------------------------------------- the sets
// fp32 kernels with the elementwise functions of this Vec, for what int8 models do not quantize.
template <typename Vec>
KernelSet int8_base_set(const KernelSet& fp32) {
  const KernelSet exact =
      simd_kernel_set<F32Panel<Vec>>(fp32.isa, Precision::kFp32, PanelElement::kF32);
  KernelSet set = fp32;
  set.gelu = exact.gelu;
  set.add_gelu = exact.add_gelu;
  set.gelu_panel = exact.gelu_panel;
  set.fold_norm = exact.fold_norm;
  set.normalize = exact.normalize;
  set.normalize_panel = exact.normalize_panel;
  set.normalize_gelu_panel = exact.normalize_gelu_panel;
  set.convert_panel = exact.convert_panel;
  set.relu = exact.relu;
  set.row_stats = exact.row_stats;
  return set;
}

// Everything but the tiles, for panels of `cols` columns.
template <typename Panel, int cols>
Int8Kernels int8_part(int depth_group, const KernelSet& base) {
  Int8Kernels part{};
  part.depth_group = depth_group;
  part.store = int8_finish<Panel, cols, Int8End::kStore>;
  part.add = int8_finish<Panel, cols, Int8End::kAdd>;
  part.gelu = int8_finish<Panel, cols, Int8End::kGelu>;
  part.add_gelu = int8_finish<Panel, cols, Int8End::kAddGelu>;
  part.gelu_panel = int8_finish<Panel, cols, Int8End::kGeluPanel>;
  part.base = &base;
  return part;
}

// `part` must live as long as the set.
template <typename Panel>
KernelSet int8_set(Isa isa, const Int8Kernels& part, int depth_step, int tile_rows,
                   const char* instruction, int64_t (*peak_loop)(int64_t)) {
  using Vec = typename Panel::Vec;
  KernelSet set = simd_kernel_set<F32Panel<Vec>>(isa, Precision::kInt8, Panel::kElement);
  set.depth_step = depth_step;
  set.gemm = gemm_int8;
  set.tile_rows = tile_rows;
  set.tile_cols = part.base->tile_cols;
  set.gelu_panel = int8_gelu_panel<Panel>;
  set.normalize_panel = int8_normalize<Panel, NoGelu<Vec>>;
  set.normalize_gelu_panel = int8_normalize<Panel, TableGelu<Vec>>;
  set.convert_panel = int8_convert<Panel>;
  set.peak_loop = peak_loop;
  set.instruction = instruction;
  set.int8 = &part;
  return set;
}

// An Int8Kernels with tiles of up to sizeof...(rows) rows made of Dot; rows must be 1, 2, 3...
template <typename Panel, typename Dot, int... rows>
Int8Kernels int8_dot_part(const KernelSet& base) {
  Int8Kernels part = int8_part<Panel, 2 * Dot::kLanes>(Dot::kGroup, base);
  ((part.tiles[rows] = int8_tiles<Dot, rows>), ...);
  return part;
}

}  // namespace asmlp
