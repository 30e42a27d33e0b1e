#include "asmlp/torch/ops/shift_rows.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "asmlp/core/tensor.h"
#include "asmlp/torch/kernels/kernels.h"

namespace asmlp::nn {

std::vector<ShiftGroup> shift_groups(int channels, const AxialShift& shift) {
  std::vector<ShiftGroup> groups;
  for (int c = 0; c < channels; ++c) {
    const int d = shift_of_channel(c, channels, shift.positions, shift.dilation);
    if (groups.empty() || groups.back().displacement != d) groups.push_back({c, c, d});
    groups.back().end = c + 1;
  }
  return groups;
}

ShiftRows::ShiftRows(const AxialShift& shift, bool adjoint, int64_t h, int64_t w, int64_t channels)
    : h_(h),
      w_(w),
      channels_(channels),
      along_h_(shift.axis == Axis::kHeight),
      groups_(shift_groups(static_cast<int>(channels), shift)) {
  const int extent = static_cast<int>(along_h_ ? h : w);
  std::vector<std::vector<int>> sources(extent);
  for (const ShiftGroup& group : groups_) {
    for (auto& list : sources) list.clear();
    for (int p = 0; p < extent; ++p) {
      const int from = padded_index(p - group.displacement, extent, shift.padding);
      if (from >= 0) adjoint ? sources[from].push_back(p) : sources[p].push_back(from);
    }
    for (const auto& list : sources) {
      first_.push_back(static_cast<int>(source_.size()));
      source_.insert(source_.end(), list.begin(), list.end());
    }
  }
  first_.push_back(static_cast<int>(source_.size()));
}

namespace {

// A number of a map as one that can be added.
template <typename T>
T number(T x) {
  return x;
}
float number(Bf16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }

template <typename T, typename Out>
void copy_run(const T* from, int64_t count, Out* to) {
  if constexpr (std::is_same_v<T, Out>) {
    std::copy_n(from, count, to);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = number(from[i]);
  }
}

template <typename T, typename Out>
void add_run(const T* from, int64_t count, Out* to) {
  if constexpr (std::is_same_v<Out, Bf16>) {
    for (int64_t i = 0; i < count; ++i) to[i] = {f32_to_bf16(number(to[i]) + number(from[i]))};
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] += number(from[i]);
  }
}

}  // namespace

// A group of a pixel is one contiguous run.
template <typename T, typename Out>
void ShiftRows::gather(const T* in, int64_t begin, int64_t end, Out* out, bool add) const {
  const int64_t extent = along_h_ ? h_ : w_;
  const int64_t step = along_h_ ? w_ * channels_ : channels_;  // between positions of the axis
  for (int64_t row = begin; row < end; ++row, out += channels_) {
    const int64_t p = along_h_ ? row / w_ % h_ : row % w_;
    const T* axis_start = in + row * channels_ - p * step;
    for (size_t g = 0; g < groups_.size(); ++g) {
      const int64_t c = groups_[g].begin, count = groups_[g].end - c;
      const int* source = source_.data() + first_[g * extent + p];
      const int* stop = source_.data() + first_[g * extent + p + 1];
      Out* to = out + c;
      if (!add) {
        if (source == stop) {
          std::fill_n(to, count, Out{});
          continue;
        }
        copy_run(axis_start + *source++ * step + c, count, to);
      }
      for (; source != stop; ++source) add_run(axis_start + *source * step + c, count, to);
    }
  }
}

template void ShiftRows::gather(const float*, int64_t, int64_t, float*, bool) const;
template void ShiftRows::gather(const double*, int64_t, int64_t, double*, bool) const;
template void ShiftRows::gather(const c10::BFloat16*, int64_t, int64_t, c10::BFloat16*, bool) const;
template void ShiftRows::gather(const c10::Half*, int64_t, int64_t, c10::Half*, bool) const;
template void ShiftRows::gather(const Bf16*, int64_t, int64_t, Bf16*, bool) const;
template void ShiftRows::gather(const Bf16*, int64_t, int64_t, float*, bool) const;

}  // namespace asmlp::nn
