// The resampler's loops for AVX2. Every function carries its own target attribute, so nothing
// outside them is compiled for AVX2 and the file needs no compiler option.
#include "asmlp/image/resize_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#define ASMLP_AVX2 [[gnu::target("avx2")]]

namespace asmlp {
namespace avx2 {
namespace {

ASMLP_AVX2 inline __m128i load16(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

ASMLP_AVX2 inline void store16(uint8_t* to, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
}

// A 16 x 16 matrix of bytes. Each round interleaves row i with row i + 8: a perfect shuffle of the
// eight index bits (row, column), of which four rounds exchange rows and columns.
ASMLP_AVX2 inline void transpose(__m128i block[kLanes]) {
  __m128i next[kLanes];
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = _mm_unpacklo_epi8(block[i], block[i + kLanes / 2]);
      next[2 * i + 1] = _mm_unpackhi_epi8(block[i], block[i + kLanes / 2]);
    }
    for (int i = 0; i < kLanes; ++i) block[i] = next[i];
  }
}

ASMLP_AVX2 void gather(const uint8_t* const rows[kLanes], size_t samples, uint8_t* columns) {
  size_t i = 0;
  for (; i + kLanes <= samples; i += kLanes) {
    __m128i block[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) block[lane] = load16(rows[lane] + i);
    transpose(block);
    for (int k = 0; k < kLanes; ++k) store16(columns + (i + k) * kLanes, block[k]);
  }
  for (; i < samples; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) columns[i * kLanes + lane] = rows[lane][i];
  }
}

ASMLP_AVX2 void scatter(const uint8_t* columns, size_t samples, uint8_t* const rows[kLanes]) {
  size_t i = 0;
  for (; i + kLanes <= samples; i += kLanes) {
    __m128i block[kLanes];
    for (int k = 0; k < kLanes; ++k) block[k] = load16(columns + (i + k) * kLanes);
    transpose(block);
    for (int lane = 0; lane < kLanes; ++lane) store16(rows[lane] + i, block[lane]);
  }
  for (; i < samples; ++i) {
    for (int lane = 0; lane < kLanes; ++lane) rows[lane][i] = columns[i * kLanes + lane];
  }
}

// kCount * 16 neighboring samples: rounded weighted sums over taps.count places, `stride` bytes
// apart.
template <int kCount>
ASMLP_AVX2 inline void filter_samples(const uint8_t* in, size_t stride, const Taps& taps,
                                      uint8_t* out) {
  __m256i sums[2 * kCount];
  for (__m256i& sum : sums) sum = _mm256_set1_epi32(1 << (kWeightBits - 1));
  for (int j = 0; j < taps.count; ++j, in += stride) {
    const __m256i weight = _mm256_set1_epi32(taps.weights[j]);
    for (int v = 0; v < 2 * kCount; ++v) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + 8 * v));
      const __m256i product = _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), weight);
      sums[v] = _mm256_add_epi32(sums[v], product);
    }
  }
  for (int v = 0; v < kCount; ++v) {
    // Saturating packs clamp to 0..255; they work in 128-bit halves, which the permutation repairs.
    const __m256i words = _mm256_permute4x64_epi64(
        _mm256_packs_epi32(_mm256_srai_epi32(sums[2 * v], kWeightBits),
                           _mm256_srai_epi32(sums[2 * v + 1], kWeightBits)),
        0b11'01'10'00);
    store16(out + 16 * v,
            _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
}

ASMLP_AVX2 void filter_columns(const uint8_t* columns, int origin, const std::vector<Taps>& taps,
                               int channels, uint8_t* out) {
  const size_t stride = static_cast<size_t>(channels) * kLanes;
  for (const Taps& tap : taps) {
    const uint8_t* in = columns + static_cast<size_t>(tap.first - origin) * stride;
    if (channels == 3) {
      filter_samples<3>(in, stride, tap, out);
    } else {
      for (int c = 0; c < channels; ++c) {
        filter_samples<1>(in + c * kLanes, stride, tap, out + c * kLanes);
      }
    }
    out += stride;
  }
}

ASMLP_AVX2 void filter_rows(const uint8_t* in, size_t samples, const Taps& taps, uint8_t* out) {
  constexpr size_t kBlock = 64;
  size_t i = 0;
  for (; i + kBlock <= samples; i += kBlock) filter_samples<4>(in + i, samples, taps, out + i);
  for (; i + 16 <= samples; i += 16) filter_samples<1>(in + i, samples, taps, out + i);
  for (; i < samples; ++i) {
    int32_t sum = 1 << (kWeightBits - 1);
    for (int j = 0; j < taps.count; ++j) {
      sum += in[static_cast<size_t>(j) * samples + i] * taps.weights[j];
    }
    out[i] = static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
  }
}

}  // namespace
}  // namespace avx2

const ResizeKernels* avx2_resize_kernels() {
  static constexpr ResizeKernels kernels{avx2::gather, avx2::scatter, avx2::filter_columns,
                                         avx2::filter_rows};
  return &kernels;
}

}  // namespace asmlp

#else

namespace asmlp {

const ResizeKernels* avx2_resize_kernels() { return nullptr; }

}  // namespace asmlp

#endif
