#include "asmlp/torch/data/augment/affine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#include "asmlp/core/cpu.h"

namespace asmlp::data {
namespace {

// Python's round(x, 15): the nearest decimal, exactly.
double round_to_15_digits(double x) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "%.15f", x);
  return std::strtod(text.data(), nullptr);
}

// The channels of one pixel in double: a vector of four (the last one unused), or one number.
using Rgb = double __attribute__((vector_size(32)));
using Ints = int __attribute__((vector_size(16)));
using Gray = double;

// An image with a byte to spare at its end.
struct Source {
  const uint8_t* pixels;
  int height, width;
};

// Everything that runs once per pixel is inlined into the two versions of warp() below.
#define ASMLP_INLINE [[gnu::always_inline]] inline

template <typename Pixel>
constexpr int kChannels = std::is_same_v<Pixel, Rgb> ? 3 : 1;

ASMLP_INLINE void load(const uint8_t* from, Gray& pixel) { pixel = *from; }
// Reads one byte beyond the pixel.
ASMLP_INLINE void load(const uint8_t* from, Rgb& pixel) {
  using Bytes = uint8_t __attribute__((vector_size(16)));
  int four;
  std::memcpy(&four, from, 4);
  // Bytes 16 and up are those of the second vector, zero.
  const Bytes spread =
      __builtin_shufflevector(std::bit_cast<Bytes>(Ints{four, 0, 0, 0}), Bytes{}, 0, 16, 16, 16, 1,
                              16, 16, 16, 2, 16, 16, 16, 16, 16, 16, 16);
  pixel = __builtin_convertvector(std::bit_cast<Ints>(spread), Rgb);
}

// Clipped and cut to 8 bits.
ASMLP_INLINE void store(const Gray& pixel, uint8_t* to) {
  *to = static_cast<uint8_t>(std::clamp(pixel, 0.0, 255.0));
}
ASMLP_INLINE void store(const Rgb& pixel, uint8_t* to) {
  const Rgb low = pixel > 0 ? pixel : Rgb{};
  const Rgb clipped = low < 255 ? low : Rgb{} + 255;
  const Ints ints = __builtin_convertvector(clipped, Ints);
  for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(ints[c]);
}

// The order of the operations is Pillow's: results are cut, so that the last bit can matter.
template <typename Pixel>
ASMLP_INLINE void interpolate(const Pixel (&v)[2], double d, Pixel& out) {
  out = v[0] + (v[1] - v[0]) * d;
}
template <typename Pixel>
ASMLP_INLINE void interpolate(const Pixel (&v)[4], double d, Pixel& out) {
  const Pixel p2 = -v[0] + v[2];
  const Pixel p3 = 2 * (v[0] - v[1]) + v[2] - v[3];
  const Pixel p4 = -v[0] + v[1] - v[2] + v[3];
  out = v[1] + d * (p2 + d * (p3 + d * p4));
}

// One axis of an interpolation: the inputs around `position` >= 0, clamped into [0, length), and
// how far it is behind the one at index kBefore.
template <int kTaps>
struct Axis {
  static constexpr int kBefore = kTaps / 2 - 1;
  int at[kTaps];
  double distance;

  ASMLP_INLINE Axis(double position, int length) {
    const double from = position - 0.5;
    const int first = from < 0 ? -1 : static_cast<int>(from);
    distance = from - first;
    const int begin = first - kBefore;
    if (begin >= 0 && begin + kTaps <= length) {
#pragma GCC unroll 4
      for (int i = 0; i < kTaps; ++i) at[i] = begin + i;
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < kTaps; ++i) at[i] = std::clamp(begin + i, 0, length - 1);
    }
  }
};

// One row of an interpolation. Shears and translations leave one axis alone: there d is 0, and the
// formula gives the input.
template <typename Pixel, int kTaps>
ASMLP_INLINE void sample_row(const uint8_t* row, const Axis<kTaps>& along, Pixel& out) {
  constexpr int kStep = kChannels<Pixel>;
  if (along.distance == 0) return load(row + along.at[along.kBefore] * kStep, out);
  Pixel values[kTaps];

#pragma GCC unroll 4
  for (int i = 0; i < kTaps; ++i) load(row + along.at[i] * kStep, values[i]);
  interpolate(values, along.distance, out);
}

template <typename Pixel, int kTaps>
ASMLP_INLINE void warp_any(const Source& source, const AffineMatrix& matrix, const uint8_t* fill,
                           uint8_t* to) {
  constexpr int kStep = kChannels<Pixel>;
  const AffineMatrix m = matrix;
  const int height = source.height, width = source.width;
  const uint8_t* const pixels = source.pixels;
  const size_t stride = static_cast<size_t>(width) * kStep;
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column, to += kStep) {
      const double x = m[0] * (column + 0.5) + m[1] * (row + 0.5) + m[2];
      const double y = m[3] * (column + 0.5) + m[4] * (row + 0.5) + m[5];
      if (!(x >= 0 && x < width && y >= 0 && y < height)) {
        for (int c = 0; c < kStep; ++c) to[c] = fill[c];
        continue;
      }
      const Axis<kTaps> along(x, width), across(y, height);
      Pixel pixel;
      if (across.distance == 0) {
        sample_row(pixels + stride * across.at[across.kBefore], along, pixel);
      } else {
        Pixel values[kTaps];

#pragma GCC unroll 4
        for (int i = 0; i < kTaps; ++i)
          sample_row(pixels + stride * across.at[i], along, values[i]);
        interpolate(values, across.distance, pixel);
      }
      store(pixel, to);
    }
  }
}

// The same operations for the baseline and, in wider registers, for AVX2 (without FMA, which would
// round differently).
namespace baseline {
struct Version {
  template <typename Pixel, int kTaps>
  static void warp(const Source& source, const AffineMatrix& m, const uint8_t* fill, uint8_t* to) {
    warp_any<Pixel, kTaps>(source, m, fill, to);
  }
};
}  // namespace baseline
namespace avx2 {
#if defined(__x86_64__)
struct Version {
  template <typename Pixel, int kTaps>
  [[gnu::target("avx2")]] static void warp(const Source& source, const AffineMatrix& m,
                                           const uint8_t* fill, uint8_t* to) {
    warp_any<Pixel, kTaps>(source, m, fill, to);
  }
};
#else
using baseline::Version;
#endif
}  // namespace avx2

template <typename Version>
void warp(const Source& source, const AffineMatrix& m, bool color, bool cubic, const uint8_t* fill,
          uint8_t* to) {
  if (color) {
    cubic ? Version::template warp<Rgb, 4>(source, m, fill, to)
          : Version::template warp<Rgb, 2>(source, m, fill, to);
  } else {
    cubic ? Version::template warp<Gray, 4>(source, m, fill, to)
          : Version::template warp<Gray, 2>(source, m, fill, to);
  }
}

}  // namespace

AffineMatrix rotation(double degrees, int height, int width) {
  // Python's degrees % 360, which is not negative.
  double turned = std::fmod(degrees, 360.0);
  if (turned < 0) turned += 360.0;
  const double angle = -(turned * (M_PI / 180));
  AffineMatrix m{round_to_15_digits(std::cos(angle)),  round_to_15_digits(std::sin(angle)), 0,
                 round_to_15_digits(-std::sin(angle)), round_to_15_digits(std::cos(angle)), 0};
  const double x = width / 2.0, y = height / 2.0;
  m[2] = m[0] * -x + m[1] * -y + x;
  m[5] = m[3] * -x + m[4] * -y + y;
  return m;
}

void affine(const Image& image, const AffineMatrix& matrix, Interpolation interpolation,
            const std::array<uint8_t, 3>& fill, Image& out) {
  out.height = image.height;
  out.width = image.width;
  out.channels = image.channels;
  out.pixels.resize(image.pixels.size());
  const bool cubic = interpolation == Interpolation::kBicubic;
  std::vector<uint8_t> padded(image.pixels.size() + 1);
  std::copy(image.pixels.begin(), image.pixels.end(), padded.begin());
  const Source source{padded.data(), image.height, image.width};
  static const bool has_avx2 = default_isa() >= Isa::kAvx2;
  (has_avx2 ? warp<avx2::Version> : warp<baseline::Version>)(source, matrix, image.channels == 3,
                                                             cubic, fill.data(), out.pixels.data());
}

}  // namespace asmlp::data
