// The inner loops of the resampler. Integer sums are exact, so every version gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace asmlp {

// Weights are fixed-point numbers in units of 2^-22. Of one output the sum of |weights| is below
// 1.5 * 2^22 (bilinear and bicubic), so 255 times it stays inside int32.
inline constexpr int kWeightBits = 22;
// Rows that the horizontal pass filters side by side, one per vector lane.
inline constexpr int kLanes = 16;

// Which inputs make an output along one axis.
struct Taps {
  int first = 0;  // input index of the first weight
  int count = 0;
  const int32_t* weights = nullptr;
};

// One set of kernels. `samples` counts bytes: pixels x channels.
struct ResizeKernels {
  // columns[i * kLanes + lane] = rows[lane][i] for i < samples.
  void (*gather)(const uint8_t* const rows[kLanes], size_t samples, uint8_t* columns);
  // rows[lane][i] = columns[i * kLanes + lane] for i < samples.
  void (*scatter)(const uint8_t* columns, size_t samples, uint8_t* const rows[kLanes]);
  // The horizontal pass over kLanes rows that lie side by side. `columns` begins with input pixel
  // `origin`; output pixel o is out[(o * channels + c) * kLanes + lane] =
  // clamp((2^21 + sum_j columns[pixel taps[o].first + j, c, lane] * taps[o].weights[j]) >> 22).
  void (*columns)(const uint8_t* columns, int origin, const std::vector<Taps>& taps, int channels,
                  uint8_t* out);
  // One output row of the vertical pass; `in` is the first of taps.count rows of `samples` bytes.
  void (*rows)(const uint8_t* in, size_t samples, const Taps& taps, uint8_t* out);
};

// The kernels for core's default_isa() (so ASMLP_ISA applies), chosen on the first call.
const ResizeKernels& resize_kernels();

// For resize_kernels() and tests: the portable kernels, and those for AVX2 (null where the build is
// not for x86-64; only for machines that have AVX2).
const ResizeKernels& portable_resize_kernels();
const ResizeKernels* avx2_resize_kernels();

}  // namespace asmlp
