// What a detector finds on every image of a data set, as the rows of a CSV file.
#pragma once

#include <span>
#include <string>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp::cli {

// Detections that score at least this are counted: what `detect` shows by default.
inline constexpr double kCountedScore = 0.3;

// One row per annotated image: filename, image_id, objects (crowds left out), detections (of
// kCountedScore), matched. Boxes match as in the evaluation at the IoU 0.5 (match_coco); detections
// that it ignores, those in crowds, are not counted.
std::string detection_rows(const CocoAnnotations& annotations,
                           std::span<const CocoDetection> detections);

}  // namespace asmlp::cli
