#include "asmlp/torch/data/photometric.h"

#include "asmlp/torch/data/cv_image.h"

namespace asmlp::data {
namespace {

bool coin(Random& random) { return random.below(2) == 1; }

void maybe_change_contrast(Image& rgb, Random& random) {
  if (coin(random)) scale_and_shift(rgb, random.uniform(0.5, 1.5), 0);
}

}  // namespace

void distort(Image& rgb, Random& random) {
  if (coin(random)) scale_and_shift(rgb, 1, random.uniform(-32, 32));
  const bool contrast_first = coin(random);
  if (contrast_first) maybe_change_contrast(rgb, random);
  if (coin(random)) scale_saturation(rgb, random.uniform(0.5, 1.5));
  if (coin(random)) shift_hue(rgb, static_cast<int>(random.below(36)) - 18);
  if (!contrast_first) maybe_change_contrast(rgb, random);
}

}  // namespace asmlp::data
