// Detections as the COCO evaluation takes them.
#pragma once

#include <utility>

#include "asmlp/detection/detection.h"
#include "asmlp/metrics/coco_eval.h"

namespace asmlp::detect {

// x, y, width, height; image `image` of the annotations.
inline CocoDetection to_coco(Detection detection, int image) {
  const auto [x1, y1, x2, y2] = detection.box;
  return {image,
          detection.label,
          double{detection.score},
          {x1, y1, double{x2} - x1, double{y2} - y1},
          std::move(detection.mask)};
}

}  // namespace asmlp::detect
