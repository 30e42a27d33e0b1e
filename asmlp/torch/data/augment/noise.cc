#include "asmlp/torch/data/augment/noise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "asmlp/core/cpu.h"

namespace asmlp::data {
namespace {

constexpr size_t kBlock = 64;

#define ASMLP_INLINE [[gnu::always_inline]] inline

// Adding it puts the nearest integer of a small number into the low bits of the sum.
constexpr double kRound = 0x1.8p52;

// ln x for x in (0, 1], relative error below 1e-15: x = m 2^e with m in [sqrt(1/2), sqrt(2)], and
// ln m = 2 artanh((m - 1) / (m + 1)) by its series.
ASMLP_INLINE double log_of(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  // The biased exponent in the low bits of 2^52 is 2^52 + exponent.
  double exponent = std::bit_cast<double>((bits >> 52) | 0x4330000000000000) - (0x1p52 + 1023);
  double m = std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  const bool large = m > M_SQRT2;
  m = large ? 0.5 * m : m;
  exponent = large ? exponent + 1 : exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1.0 / 23;
  for (int odd = 21; odd >= 3; odd -= 2) series = series * z + 1.0 / odd;
  return exponent * M_LN2 + 2 * (s + s * z * series);
}

// cos(2 pi v) for v in [0, 1], absolute error below 1e-15: v = q / 4 + r with |r| <= 1/8, and the
// Taylor series of the sine and cosine of 2 pi r.
ASMLP_INLINE double cos_of_turn(double v) {
  const double shifted = 4 * v + kRound;
  const uint64_t quarter = std::bit_cast<uint64_t>(shifted) & 3;
  const double x = (2 * M_PI) * (v - 0.25 * (shifted - kRound)), z = x * x;
  double sine = 1.0 / 355687428096000, cosine = 1.0 / 20922789888000;
  sine = sine * z - 1.0 / 1307674368000, cosine = cosine * z - 1.0 / 87178291200;
  sine = sine * z + 1.0 / 6227020800, cosine = cosine * z + 1.0 / 479001600;
  sine = sine * z - 1.0 / 39916800, cosine = cosine * z - 1.0 / 3628800;
  sine = sine * z + 1.0 / 362880, cosine = cosine * z + 1.0 / 40320;
  sine = sine * z - 1.0 / 5040, cosine = cosine * z - 1.0 / 720;
  sine = sine * z + 1.0 / 120, cosine = cosine * z + 1.0 / 24;
  sine = sine * z - 1.0 / 6, cosine = cosine * z - 1.0 / 2;
  sine = x + x * z * sine, cosine = 1 + z * cosine;
  // cos x, -sin x, -cos x, sin x in the four quarters: bit 0 chooses, bits 0 and 1 sign.
  const uint64_t odd = 0 - (quarter & 1);
  const uint64_t magnitude =
      (std::bit_cast<uint64_t>(sine) & odd) | (std::bit_cast<uint64_t>(cosine) & ~odd);
  return std::bit_cast<double>(magnitude ^ (((quarter + 1) & 2) << 62));
}

// Bounds of Random::normal_of(u[i], v[i]).
ASMLP_INLINE void bounds_any(const double* u, const double* v, size_t count, double* low,
                             double* high) {
  for (size_t i = 0; i < count; ++i) {
    const double radius = std::sqrt(-2 * log_of(1 - u[i]));
    const double value = radius * cos_of_turn(v[i]);
    // Both errors, this one's and the library's: an argument of up to 2 pi is itself rounded by up
    // to 9e-16.
    const double error = 1e-14 * radius;
    low[i] = value - error;
    high[i] = value + error;
  }
}

using Bounds = void(const double*, const double*, size_t, double*, double*);
void bounds_baseline(const double* u, const double* v, size_t count, double* low, double* high) {
  bounds_any(u, v, count, low, high);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] void bounds_avx2(const double* u, const double* v, size_t count,
                                         double* low, double* high) {
  bounds_any(u, v, count, low, high);
}
#else
constexpr Bounds* bounds_avx2 = bounds_baseline;
#endif

}  // namespace

void normals(std::span<float> out, Random& random) {
  static Bounds* const bounds = default_isa() >= Isa::kAvx2 ? bounds_avx2 : bounds_baseline;
  std::array<double, kBlock> u, v, low, high;
  for (size_t start = 0; start < out.size(); start += kBlock) {
    const size_t count = std::min(kBlock, out.size() - start);
    for (size_t i = 0; i < count; ++i) {
      u[i] = random.uniform();
      v[i] = random.uniform();
    }
    bounds(u.data(), v.data(), count, low.data(), high.data());
    float* to = out.data() + start;
    for (size_t i = 0; i < count; ++i) {
      to[i] = static_cast<float>(low[i]);
      if (to[i] != static_cast<float>(high[i])) {
        to[i] = static_cast<float>(Random::normal_of(u[i], v[i]));
      }
    }
  }
}

}  // namespace asmlp::data
