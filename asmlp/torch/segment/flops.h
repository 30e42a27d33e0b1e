// Multiply-adds of a segmentor, as the papers give them (counting rule: nn/flops.h).
#pragma once

#include <cstdint>

#include "asmlp/torch/segment/segmentor_config.h"

namespace asmlp::segment {

// Of one image of h x w pixels through backbone and decode head; the auxiliary head is for training
// only. The published figures are for 512 x 2048 (h x w): 937G for upernet_asmlp_tiny.
int64_t multiply_adds(const SegmentorConfig& config, int h, int w);

}  // namespace asmlp::segment
