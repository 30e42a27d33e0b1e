// Falling scores as rising numbers, which sort fast and have an order whatever the scores are.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace asmlp::detect {

// Keys rise as scores fall, those of equal scores (0 and -0 are equal) as indices rise; NaN comes
// after every number.
inline uint64_t order_key(float score, uint32_t index) {
  uint32_t falling = UINT32_MAX;
  if (!std::isnan(score)) {
    const auto bits = std::bit_cast<uint32_t>(score + 0.0f);
    falling = (bits >> 31) != 0 ? bits : ~bits & 0x7fffffffu;
  }
  return uint64_t{falling} << 32 | index;
}

inline uint32_t index_of_key(uint64_t key) { return static_cast<uint32_t>(key); }

// The score that the key was made of (0 for -0).
inline float score_of_key(uint64_t key) {
  const auto falling = static_cast<uint32_t>(key >> 32);
  return std::bit_cast<float>((falling >> 31) != 0 ? falling : ~falling & 0x7fffffffu);
}

}  // namespace asmlp::detect
