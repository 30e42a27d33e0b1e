// The random numbers of synthetic scenes: the standard's own generator, whose numbers are the same
// with every standard library (its distributions are not).
#pragma once

#include <cstdint>
#include <random>

namespace asmlp {

class SceneRandom {
 public:
  // The numbers of scene `number` of a split: they depend on nothing else, so it does not matter
  // which thread makes which scene.
  SceneRandom(uint64_t seed, uint32_t split, uint64_t number) {
    std::seed_seq place{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), split,
                        static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32)};
    engine_.seed(place);
  }

  // In [0, 1), 53 random bits; in [low, high).
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // An integer in [0, n), n >= 1.
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace asmlp
