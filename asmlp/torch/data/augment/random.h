// The random numbers of training: a documented generator, so that the same seed gives the same run
// with every standard library.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace asmlp::data {

// Finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
inline uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// What a derived seed is for; the first element of its path, so that no two uses share a stream.
enum SeedUse : uint64_t {
  kSeedInit = 1,
  kSeedOrder = 2,
  kSeedSample = 3,
  kSeedStep = 4,
  kSeedMix = 5,
  kSeedReplace = 6,
  kSeedShuffle = 7,
  kSeedBoxes = 8
};

// A seed for the place `path` of the run, e.g. {kSeedSample, epoch, index}: it depends on nothing
// else, so it does not matter which thread asks, or what was drawn before.
inline uint64_t derive_seed(uint64_t seed, std::initializer_list<uint64_t> path) {
  for (uint64_t part : path) seed = mix64(seed + 0x9E3779B97F4A7C15ull * (part + 1));
  return seed;
}

// splitmix64: a 64-bit counter with the golden-ratio increment, finalized by mix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() { return mix64(state_ += 0x9E3779B97F4A7C15ull); }

  // In [0, 1), 53 random bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  // In [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // An integer in [0, n), n >= 1, by the high half of a 128-bit product (bias below n / 2^64).
  int64_t below(int64_t n) {
    return static_cast<int64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }

  // Standard normal. (normals() of noise.h gives the same numbers many times faster.)
  double normal() {
    const double u = uniform();
    return normal_of(u, uniform());
  }

  // Box and Muller's transform of two uniform numbers in [0, 1); one of the pair is dropped.
  static double normal_of(double u, double v) {
    return std::sqrt(-2 * std::log(1 - u)) * std::cos(2 * M_PI * v);
  }

 private:
  uint64_t state_;
};

// Fisher and Yates' shuffle: every order is equally likely.
template <typename T>
void shuffle(std::vector<T>& values, Random& random) {
  for (int64_t i = static_cast<int64_t>(values.size()) - 1; i > 0; --i) {
    std::swap(values[i], values[random.below(i + 1)]);
  }
}

}  // namespace asmlp::data
