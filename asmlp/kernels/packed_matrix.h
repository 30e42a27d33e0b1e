// The weight of a linear layer in the order in which the tiles read it.
#pragma once

#include <cstdint>
#include <span>

#include "asmlp/core/tensor.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {

// Column panels of tile_cols, each depth x tile_cols row-major, zero-padded to a whole panel and to
// a depth that is a multiple of the kernels' depth_step. With a depth_group g above 1, each g rows
// are interleaved, so that g values of k of a column lie side by side: element (k, j) is at
// (k / g * tile_cols + j) * g + k % g. With PanelElement::kBf16Split, 32 rows are the upper parts
// of their values and then the lower ones, both as with g = 2 but with k and k + 16 interleaved.
// Int8 weights lie as int8_kernels.h says. The bias is padded likewise. Points into memory that
// somebody else keeps alive.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // For a weight [cols][depth] as in a state dict (out, in); nothing is written yet.
  PackedMatrix(const KernelSet& kernels, int64_t cols, int64_t depth);

  // Bytes the panels and the bias need, a multiple of kAlignment.
  int64_t bytes() const;
  // Places the matrix at `memory`, zeroed and aligned to kAlignment.
  void place(std::byte* memory);
  // For an int8 set, before any panel: the scale of each of the cols columns, and the scale (a
  // positive, normal number) and zero point (-128..127) of the rows that will be multiplied.
  void pack_scales(std::span<const float> weight_scale, float input_scale, int32_t zero_point);
  // Writes one panel. `weight` has at least cols x depth elements in any floating dtype; I8 for an
  // int8 set. With `positions` above 1 it is [cols][channels][positions], as the convolutions and
  // flattened maps of a state dict are, and the depth is packed as [positions][channels].
  void pack_panel(const Tensor& weight, int64_t panel, int64_t positions = 1);
  // `bias` has cols values, or none for a layer without.
  void pack_bias(std::span<const float> bias);

  const KernelSet& kernels() const { return *kernels_; }
  int64_t cols() const { return cols_; }
  int64_t depth() const { return depth_; }
  // The depth rounded up to what a tile takes: rows of A need that many elements, the surplus zero.
  int64_t padded_depth() const { return padded_depth_; }
  int64_t panels() const { return panels_; }
  // Row k (a multiple of depth_step) of a panel, and the bytes to row k + 1.
  const std::byte* panel(int64_t index, int64_t k = 0) const {
    return data_ + (index * padded_depth_ + k) * row_bytes_;
  }
  int64_t row_bytes() const { return row_bytes_; }
  int64_t tile_cols() const { return tile_cols_; }
  const float* bias(int64_t panel) const { return bias_ + panel * tile_cols_; }
  // Of an int8 set: how its rows are rounded; what a sum is multiplied with; where it starts.
  const Quantization& quantization() const { return quantization_; }
  const float* scale(int64_t panel) const { return scale_ + panel * tile_cols_; }
  const int32_t* start(int64_t panel) const { return start_ + panel * tile_cols_; }

 private:
  void pack_int8_panel(const Tensor& weight, int64_t panel, int64_t positions);
  // Where row k of W stands in a column of the state dict's weight.
  int64_t source(int64_t k, int64_t positions) const {
    const int64_t channels = depth_ / positions;
    return k % channels * positions + k / channels;
  }

  const KernelSet* kernels_ = nullptr;
  int64_t cols_ = 0, depth_ = 0, padded_depth_ = 0, panels_ = 0;
  int64_t tile_cols_ = 0, row_bytes_ = 0;
  std::byte* data_ = nullptr;
  float* bias_ = nullptr;
  float* scale_ = nullptr;
  int32_t* start_ = nullptr;
  Quantization quantization_;
};

}  // namespace asmlp
