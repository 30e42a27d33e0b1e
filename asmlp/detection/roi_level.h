// Which level of a feature pyramid a region is pooled from (Lin et al., CVPR 2017, equation 1).
#pragma once

#include "asmlp/detection/box.h"

namespace asmlp::detect {

// floor(log2(sqrt(w * h) / finest_size + 1e-6)) in fp32, at least 0 and at most `levels` - 1. From
// 2 * finest_size pixels on a region is on level 1. Boxes of no (or a negative, or no known) area
// are on level 0. `levels` and `finest_size` must be positive.
int roi_level(const Box& box, int levels, double finest_size);

}  // namespace asmlp::detect
