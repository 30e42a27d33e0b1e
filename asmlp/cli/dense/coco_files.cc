#include "asmlp/cli/dense/coco_files.h"

#include <algorithm>

#include "asmlp/cli/options/options.h"

namespace asmlp::cli {
namespace {

constexpr std::pair<CocoTask, const char*> kFiles[]{{CocoTask::kBox, ".bbox.json"},
                                                    {CocoTask::kMask, ".segm.json"}};

}  // namespace

void add_coco_results_option(CLI::App& app, std::string& prefix) {
  app.add_option("--coco-results", prefix,
                 "write COCO result files: PREFIX.bbox.json and, of a model that has masks, "
                 "PREFIX.segm.json")
      ->type_name("PREFIX")
      ->group("Output");
}

void check_coco_results(const std::string& prefix) {
  if (prefix.empty()) return;
  for (const auto& [task, suffix] : kFiles) check_output(prefix + suffix);
}

void write_coco_result_files(const std::string& prefix, DetectorKind kind,
                             const CocoAnnotations& annotations,
                             std::span<const CocoDetection> detections) {
  if (prefix.empty()) return;
  for (const auto& [task, suffix] : kFiles) {
    if (task == CocoTask::kMask && !has_masks(kind)) continue;
    write_coco_results(prefix + suffix, task, annotations, detections);
  }
}

Json coco_record(const CocoAnnotations& annotations, const CocoDetection& d) {
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

}  // namespace asmlp::cli
