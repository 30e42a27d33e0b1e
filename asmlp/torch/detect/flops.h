// Multiply-adds of a detector, as the papers give them (counting rule: nn/flops.h).
#pragma once

#include <cstdint>

#include "asmlp/torch/detect/detector_config.h"

namespace asmlp::detect {

// Of one image of h x w pixels, with `boxes` regions through the box head and `masks` through the
// mask head of every stage. The defaults of the regions and 1280 x 800 pixels (w x h) are those of
// the published figures: 260G for mask_rcnn_asmlp_tiny, 739G for cascade_asmlp_tiny.
int64_t multiply_adds(const DetectorConfig& config, int h, int w, int64_t boxes = 1000,
                      int64_t masks = 100);

}  // namespace asmlp::detect
