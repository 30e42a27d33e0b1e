#include "asmlp/dataset/coco/detection_record.h"

#include <algorithm>

#include "asmlp/model/spec.h"

namespace asmlp {

nlohmann::ordered_json coco_record(const CocoAnnotations& annotations, const CocoDetection& d) {
  using Json = nlohmann::ordered_json;
  const CocoCategory& category = annotations.categories.at(static_cast<size_t>(d.label));
  Json record{{"image_id", annotations.images.at(static_cast<size_t>(d.image)).id},
              {"category_id", category.in_file ? Json(category.id) : Json()},
              {"score", d.score},
              {"bbox", d.box}};
  if (d.mask.height > 0) {
    record["segmentation"] = {{"size", {d.mask.height, d.mask.width}},
                              {"counts", compress_counts(d.mask)}};
  }
  return record;
}

std::vector<CocoCategory> categories_of(const std::vector<std::string>& classes, int count) {
  const auto coco = coco_categories();
  if (std::ranges::equal(coco, classes, {}, &CocoCategory::name)) {
    return {coco.begin(), coco.end()};
  }
  std::vector<CocoCategory> categories;
  for (int k = 0; k < count; ++k) categories.push_back({k + 1, class_label(classes, k)});
  return categories;
}

}  // namespace asmlp
