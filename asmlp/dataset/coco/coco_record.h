// What records of COCO's annotation and result files have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp {

// The member "bbox": four finite numbers up to 1e6 in magnitude, width and height >= 0; else
// nothing.
std::optional<CocoBox> box_of(const nlohmann::json& record);

// Run lengths {"size": [height, width], "counts": string or list}. Error (kBadFormat) says what is
// wrong.
MaskRle mask_of(const nlohmann::json& value);

// Takes a mask away that has not the size of its image, and counts it.
void check_mask_size(CocoAnnotation& annotation, const CocoImage& image, CocoSkips& skips);

}  // namespace asmlp
