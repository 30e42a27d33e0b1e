// What a detector finds on every image of a data set, as the rows of a CSV file.
#pragma once

#include <span>
#include <string>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp::cli {

// Detections that score at least this are counted: what `detect` shows by default.
inline constexpr double kCountedScore = 0.3;

// One row per annotated image: filename, image_id, objects (crowds left out), detections (of
// kCountedScore), matched. By falling score, a detection matches the object of its class, not
// matched yet, that its box covers most, if their IoU is at least 0.5; one that matches none but
// lies in a crowd of its class by half of its own area is not counted.
std::string detection_rows(const CocoAnnotations& annotations,
                           std::span<const CocoDetection> detections);

}  // namespace asmlp::cli
