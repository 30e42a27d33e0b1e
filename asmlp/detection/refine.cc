#include "asmlp/detection/refine.h"

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/detection/finite.h"

namespace asmlp::detect {

void refine_boxes(const BoxCoder& coder, std::span<Box> boxes, const float* logits,
                  int64_t logit_stride, const float* deltas, int64_t delta_stride, int num_classes,
                  ImageSize image) {
  require(num_classes > 0, ErrorCode::kInvalidArgument,
          "refine_boxes: {} classes, must be positive", num_classes);
  for (Box& box : boxes) {
    int best = 0;
    bool finite = true;
    for (int c = 0; c < num_classes; ++c) {
      finite &= !std::isnan(logits[c]);
      if (logits[c] > logits[best]) best = c;
    }
    box = decode(coder, box, deltas + int64_t{4} * best, &image);
    require_finite(finite && is_finite(box));
    logits += logit_stride, deltas += delta_stride;
  }
}

}  // namespace asmlp::detect
