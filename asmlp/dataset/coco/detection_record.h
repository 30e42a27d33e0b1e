// A detection as JSON, as COCO's result files have it: for what `detect` prints and the server
// answers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp {

// One detection as such a record, of box and mask together: without "segmentation" when it has no
// mask; category_id is null for a class that the annotation file does not have.
nlohmann::ordered_json coco_record(const CocoAnnotations& annotations,
                                   const CocoDetection& detection);

// Categories for images that have no annotation file: COCO's own ids for COCO's class names, else
// 1, 2, ...
std::vector<CocoCategory> categories_of(const std::vector<std::string>& classes, int count);

}  // namespace asmlp
