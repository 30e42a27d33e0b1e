// The step between the stages of a cascade (Cai and Vasconcelos, CVPR 2018).
#pragma once

#include <cstdint>
#include <span>

#include "asmlp/detection/box_coder.h"

namespace asmlp::detect {

// The RoIs of the next stage: each of `boxes` moved by the deltas of the foreground class with the
// largest logit (the first of equal ones), clipped to `image`. Box r has the logits
// logits[r * logit_stride + c], c in [0, num_classes] of which the background, the last, does not
// take part, and the deltas deltas[r * delta_stride + 4 c + {0, 1, 2, 3}].
// Error(kInvalidArgument) when a logit of the foreground is NaN or a box is not finite; `boxes` are
// then partly moved.
void refine_boxes(const BoxCoder& coder, std::span<Box> boxes, const float* logits,
                  int64_t logit_stride, const float* deltas, int64_t delta_stride, int num_classes,
                  ImageSize image);

}  // namespace asmlp::detect
