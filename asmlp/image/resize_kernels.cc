#include "asmlp/image/resize_kernels.h"

#include <algorithm>
#include <array>

#include "asmlp/core/cpu.h"

namespace asmlp {
namespace {

// Samples whose sums the vertical pass keeps in the first-level cache.
constexpr size_t kChunk = 512;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

void gather(const uint8_t* const rows[kLanes], size_t samples, uint8_t* columns) {
  for (size_t i = 0; i < samples; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) columns[i * kLanes + lane] = rows[lane][i];
  }
}

void scatter(const uint8_t* columns, size_t samples, uint8_t* const rows[kLanes]) {
  for (int lane = 0; lane < kLanes; ++lane) {
    for (size_t i = 0; i < samples; ++i) rows[lane][i] = columns[i * kLanes + lane];
  }
}

void filter_columns(const uint8_t* columns, int origin, const std::vector<Taps>& taps, int channels,
                    uint8_t* out) {
  const size_t stride = static_cast<size_t>(channels) * kLanes;
  for (const Taps& tap : taps) {
    const uint8_t* start = columns + static_cast<size_t>(tap.first - origin) * stride;
    for (int c = 0; c < channels; ++c, start += kLanes, out += kLanes) {
      std::array<int32_t, kLanes> sum;
      sum.fill(kHalf);
      const uint8_t* in = start;
      for (int j = 0; j < tap.count; ++j, in += stride) {
        for (int lane = 0; lane < kLanes; ++lane) sum[lane] += in[lane] * tap.weights[j];
      }
      for (int lane = 0; lane < kLanes; ++lane) out[lane] = to_byte(sum[lane]);
    }
  }
}

void filter_rows(const uint8_t* in, size_t samples, const Taps& taps, uint8_t* out) {
  std::array<int32_t, kChunk> sum;
  for (size_t start = 0; start < samples; start += kChunk) {
    const size_t count = std::min(kChunk, samples - start);
    std::fill_n(sum.begin(), count, kHalf);
    const uint8_t* row = in + start;
    for (int j = 0; j < taps.count; ++j, row += samples) {
      const int32_t weight = taps.weights[j];
      for (size_t i = 0; i < count; ++i) sum[i] += row[i] * weight;
    }
    for (size_t i = 0; i < count; ++i) out[start + i] = to_byte(sum[i]);
  }
}

}  // namespace

const ResizeKernels& portable_resize_kernels() {
  static constexpr ResizeKernels kernels{gather, scatter, filter_columns, filter_rows};
  return kernels;
}

const ResizeKernels& resize_kernels() {
  static const ResizeKernels& kernels = avx2_resize_kernels() && default_isa() >= Isa::kAvx2
                                            ? *avx2_resize_kernels()
                                            : portable_resize_kernels();
  return kernels;
}

}  // namespace asmlp
