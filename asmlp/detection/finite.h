// What a network with NaN in its weights gives is an error, at the first place that needs a number.
#pragma once

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/detection/box.h"

namespace asmlp::detect {

inline bool is_finite(const Box& box) {
  return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) &&
         std::isfinite(box.y2);
}

// Error(kInvalidArgument) unless `finite`.
inline void require_finite(bool finite) {
  require(finite, ErrorCode::kInvalidArgument,
          "the network's outputs are not finite; do its weights hold NaN?");
}

}  // namespace asmlp::detect
