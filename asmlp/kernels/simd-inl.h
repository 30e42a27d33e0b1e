// The vectorized kernels, written once over a vector type. An ISA's source file defines its type
// `Vec` in a namespace of its own and instantiates these templates with it; because `Vec` is part
// of every instance's name, no instance can be mistaken for another ISA's.
//
// Required of Vec: kLanes, load, load_partial(p, n), store, store_partial(p, n), broadcast(float),
// +, -, *, fma(a, b, c) = a * b + c, fnma(a, b, c) = c - a * b, abs, min(limit, x) and max(limit,
// x), which keep a NaN in x, kGeluTable and lookup(row of it, i): the value of each lane for the
// segment that the lowest bits of i say, sum() of the lanes, round_bf16() of the lanes to the
// nearest bf16 value, widen_bf16(p): kLanes of bf16 as fp32; keep(v): pretends to use v. Nothing of
// the standard library's inline functions may be called here: they would be compiled with the ISA's
// flags and could be merged into the baseline.
#pragma once

#include "asmlp/kernels/simd_elementwise-inl.h"
#include "asmlp/kernels/simd_tiles-inl.h"

namespace asmlp {

// Everything but the tiles.
template <typename Panel, typename Gelu = TableGelu<typename Panel::Vec>>
KernelSet simd_kernel_set(Isa isa, Precision precision, PanelElement element) {
  using Vec = typename Panel::Vec;
  KernelSet set{};
  set.isa = isa;
  set.precision = precision;
  set.element = element;
  set.depth_step = 1;
  set.depth_group = element == PanelElement::kBf16 ? 2 : 1;
  set.tile_cols = 2 * Vec::kLanes;
  set.gelu = simd_gelu<F32Panel<Vec>, Gelu>;
  set.add_gelu = simd_add_gelu<Vec, Gelu>;
  set.gelu_panel = simd_gelu<Panel, Gelu>;
  set.fold_norm = simd_fold_norm<Vec>;
  set.normalize = simd_normalize<F32Panel<Vec>, NoGelu<Vec>>;
  set.normalize_panel = simd_normalize<Panel, NoGelu<Vec>>;
  set.normalize_gelu_panel = simd_normalize<Panel, Gelu>;
  set.convert_panel = simd_convert<Panel>;
  set.relu = simd_relu<Vec>;
  set.row_stats = simd_row_stats<Vec>;
  set.peak_loop = simd_peak_loop<Vec>;
  set.instruction = "fma";
  return set;
}

// With tiles of up to sizeof...(rows) rows; rows must be 1, 2, 3... Without a bf16 instruction,
// the weights of bf16 precision are widened once per pass and multiplied by the fp32 tiles.
template <typename Vec, int... rows>
KernelSet simd_f32_kernels(Isa isa, Precision precision) {
  KernelSet set =
      precision == Precision::kFp32
          ? simd_kernel_set<F32Panel<Vec>>(isa, precision, PanelElement::kF32)
          : simd_kernel_set<RoundedPanel<Vec>>(isa, precision, PanelElement::kF32Rounded);
  set.tile_rows = sizeof...(rows);
  ((set.tiles[rows] = simd_tiles_f32<Vec, rows>), ...);
  if (precision == Precision::kFp32) {
    ((set.transposed_tiles[rows] = simd_transposed_tiles_f32<Vec, rows>), ...);
  }
  set.widen = simd_widen<Vec>;
  return set;
}

}  // namespace asmlp
