#include "asmlp/kernels/packed_matrix.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "asmlp/core/aligned.h"
#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {

namespace {

// Bytes of a packed weight.
int64_t weight_bytes(const KernelSet& kernels) {
  if (kernels.int8 != nullptr) return 1;
  return kernels.precision == Precision::kBf16 ? 2 : 4;
}

}  // namespace

PackedMatrix::PackedMatrix(const KernelSet& kernels, int64_t cols, int64_t depth)
    : kernels_(&kernels),
      cols_(cols),
      depth_(depth),
      padded_depth_(round_up(depth, kernels.depth_step)),
      panels_((cols + kernels.tile_cols - 1) / kernels.tile_cols),
      tile_cols_(kernels.tile_cols),
      row_bytes_(kernels.tile_cols * weight_bytes(kernels)) {}

// Panels, bias, and for int8 scales and starts, each of whole cache lines.
int64_t PackedMatrix::bytes() const {
  const int64_t vectors = kernels_->int8 != nullptr ? 3 : 1;
  return round_up(panels_ * padded_depth_ * row_bytes_, kAlignment) +
         vectors * round_up(panels_ * tile_cols_ * int64_t{sizeof(float)}, kAlignment);
}

void PackedMatrix::place(std::byte* memory) {
  constexpr int64_t kLine = static_cast<int64_t>(kAlignment);
  const int64_t vector = round_up(panels_ * tile_cols_ * int64_t{sizeof(float)}, kLine);
  data_ = memory;
  memory += round_up(panels_ * padded_depth_ * row_bytes_, kLine);
  bias_ = reinterpret_cast<float*>(memory);
  if (kernels_->int8 == nullptr) return;
  scale_ = reinterpret_cast<float*>(memory + vector);
  start_ = reinterpret_cast<int32_t*>(memory + 2 * vector);
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

void PackedMatrix::pack_panel(const Tensor& weight, int64_t panel, int64_t positions) {
  if (kernels_->int8 != nullptr) return pack_int8_panel(weight, panel, positions);
  const int64_t first = panel * tile_cols_, count = std::min(tile_cols_, cols_ - first);
  const WeightRows rows(weight, first, count, depth_);
  std::byte* out = data_ + panel * padded_depth_ * row_bytes_;
  const bool bf16 = kernels_->precision == Precision::kBf16;
  const int64_t group = kernels_->depth_group;
  const bool split = kernels_->element == PanelElement::kBf16Split;
  auto* floats = reinterpret_cast<float*>(out);
  auto* halves = reinterpret_cast<uint16_t*>(out);
  for (int64_t begin = 0; begin < depth_; begin += kBlock) {
    const int64_t end = std::min(depth_, begin + kBlock);
    int64_t sources[kBlock];
    for (int64_t k = begin; k < end; ++k) sources[k - begin] = source(k, positions);
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t k = begin; k < end; ++k) {
        const float value = rows.at(j * depth_ + sources[k - begin]);
        if (split) {
          const auto [upper, lower] = bf16_parts(value);
          uint16_t* place =
              halves + k / 32 * 64 * tile_cols_ + (k % 16 * tile_cols_ + j) * 2 + k / 16 % 2;
          place[0] = upper;
          place[32 * tile_cols_] = lower;
          continue;
        }
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

void PackedMatrix::pack_int8_panel(const Tensor& weight, int64_t panel, int64_t positions) {
  const int64_t first = panel * tile_cols_, count = std::min(tile_cols_, cols_ - first);
  const int64_t group = kernels_->int8->depth_group;
  const auto* rows = reinterpret_cast<const int8_t*>(weight.bytes.data()) + first * depth_;
  auto* out = reinterpret_cast<int8_t*>(data_ + panel * padded_depth_ * row_bytes_);
  const int32_t zero = panel_zero(kernels_->element, quantization_);
  for (int64_t j = 0; j < count; ++j) {
    int32_t sum = 0;
    for (int64_t k = 0; k < depth_; ++k) {
      const int8_t value = rows[j * depth_ + source(k, positions)];
      out[(k / group * tile_cols_ + j) * group + k % group] = value;
      sum += value;
    }
    start_[first + j] = -zero * sum;
  }
}

void PackedMatrix::pack_scales(std::span<const float> weight_scale, float input_scale,
                               int32_t zero_point) {
  quantization_ = {1.0f / input_scale, zero_point};
  for (int64_t j = 0; j < cols_; ++j) scale_[j] = weight_scale[j] * input_scale;
}

void PackedMatrix::pack_bias(std::span<const float> bias) {
  std::copy(bias.begin(), bias.end(), bias_);
}

}  // namespace asmlp
