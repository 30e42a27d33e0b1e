// Normal noise, many values at a time.
#pragma once

#include <span>

#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// out[i] = float(random.normal()) for i in ascending order, to the bit, and the generator is left
// as those calls would leave it. Loops without calls approximate the logarithm and the cosine to
// about 1e-14; the few values so near the middle of two floats that this might decide the rounding
// are computed again by Random::normal_of.
void normals(std::span<float> out, Random& random);

}  // namespace asmlp::data
