// The photometric distortion of SSD, as mmdetection and mmsegmentation have it, for the training of
// detectors and segmentors.
#pragma once

#include "asmlp/image/image.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// Photometric distortion, in place on RGB. Each with probability 1/2: brightness plus U(-32, 32),
// contrast times U(0.5, 1.5), saturation times U(0.5, 1.5), hue plus an integer of -18..17 (of 180
// to the circle). The contrast comes, with probability 1/2 each, after the brightness or last.
void distort(Image& rgb, Random& random);

}  // namespace asmlp::data
