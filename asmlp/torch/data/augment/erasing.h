// Random Erasing (Zhong et al. 2017) with timm's limits.
#pragma once

#include <array>
#include <span>
#include <utility>

#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// What an erased rectangle is filled with: zeros (the mean color) or standard normal noise.
enum class EraseMode { kConst, kPixel };
constexpr auto names_of(EraseMode) {
  return std::array{std::pair{EraseMode::kConst, "const"}, std::pair{EraseMode::kPixel, "pixel"}};
}

// Erases 1 to `most` rectangles (how many is drawn; most >= 1) of normalized
// channels x height x width values. With k rectangles each covers 2 to 33 % of the area over k, at
// a ratio of sides, log-uniform, from 0.3 to 1 / 0.3; it lies inside the image and is smaller than
// it on both sides, and is left out when ten attempts did not give such a one.
void erase_rectangles(std::span<float> values, int channels, int height, int width, EraseMode mode,
                      int most, Random& random);

}  // namespace asmlp::data
