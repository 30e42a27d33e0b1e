#include "asmlp/kernels/packed_matrix.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "asmlp/core/aligned.h"

namespace asmlp {

PackedMatrix::PackedMatrix(const KernelSet& kernels, int64_t cols, int64_t depth)
    : kernels_(&kernels),
      cols_(cols),
      depth_(depth),
      padded_depth_(round_up(depth, kernels.depth_step)),
      panels_((cols + kernels.tile_cols - 1) / kernels.tile_cols),
      tile_cols_(kernels.tile_cols),
      row_bytes_(kernels.tile_cols * (kernels.precision == Precision::kBf16 ? 2 : 4)) {}

int64_t PackedMatrix::bytes() const {
  const int64_t bias = panels_ * tile_cols_ * int64_t{sizeof(float)};
  return round_up(panels_ * padded_depth_ * row_bytes_, kAlignment) + round_up(bias, kAlignment);
}

void PackedMatrix::place(std::byte* memory) {
  data_ = memory;
  bias_ = reinterpret_cast<float*>(
      memory + round_up(panels_ * padded_depth_ * row_bytes_, static_cast<int64_t>(kAlignment)));
}

namespace {

// Rows of a state-dict weight as fp32. fp32 is read where it lies, anything else converted.
class WeightRows {
 public:
  WeightRows(const Tensor& weight, int64_t first, int64_t rows, int64_t depth) {
    const size_t bytes = size_of(weight.dtype);
    const auto part = weight.bytes.subspan(first * depth * bytes, rows * depth * bytes);
    if (weight.dtype == DType::kF32) {
      data_ = part.data();
    } else {
      converted_ = to_f32({weight.dtype, {rows, depth}, part, nullptr});
      data_ = reinterpret_cast<const std::byte*>(converted_.data());
    }
  }
  float at(int64_t index) const {  // the file may have them unaligned
    float value;
    std::memcpy(&value, data_ + index * int64_t{sizeof(float)}, sizeof value);
    return value;
  }

 private:
  std::vector<float> converted_;
  const std::byte* data_;
};

// Columns of a block that is transposed at a time: 16 cache lines in, 16 out.
constexpr int64_t kBlock = 16;

}  // namespace

void PackedMatrix::pack_panel(const Tensor& weight, int64_t panel) {
  const int64_t first = panel * tile_cols_, count = std::min(tile_cols_, cols_ - first);
  const WeightRows rows(weight, first, count, depth_);
  std::byte* out = data_ + panel * padded_depth_ * row_bytes_;
  const bool bf16 = kernels_->precision == Precision::kBf16;
  const int64_t group = kernels_->depth_group;
  auto* floats = reinterpret_cast<float*>(out);
  auto* halves = reinterpret_cast<uint16_t*>(out);
  for (int64_t begin = 0; begin < depth_; begin += kBlock) {
    const int64_t end = std::min(depth_, begin + kBlock);
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t k = begin; k < end; ++k) {
        const float value = rows.at(j * depth_ + k);
        const int64_t place = (k / group * tile_cols_ + j) * group + k % group;
        if (bf16) {
          halves[place] = f32_to_bf16(value);
        } else {
          floats[place] = value;
        }
      }
    }
  }
}

void PackedMatrix::pack_bias(std::span<const float> bias) {
  std::copy(bias.begin(), bias.end(), bias_);
}

}  // namespace asmlp
