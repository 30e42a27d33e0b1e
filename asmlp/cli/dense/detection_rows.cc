#include "asmlp/cli/dense/detection_rows.h"

#include <vector>

#include "asmlp/metrics/coco_match.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {

std::string detection_rows(const CocoAnnotations& annotations,
                           std::span<const CocoDetection> detections) {
  std::vector<CocoDetection> counted;
  for (const CocoDetection& d : detections) {
    if (d.score >= kCountedScore) counted.push_back({d.image, d.label, d.score, d.box, {}});
  }
  const auto images = static_cast<int>(annotations.images.size());
  const auto categories = static_cast<int>(annotations.categories.size());
  ThreadPool pool(1);
  struct Counts {
    int64_t objects = 0, detections = 0, matched = 0;
  };
  std::vector<Counts> counts(annotations.images.size());
  // Of the overlap 0.50 (bit 0) and objects of any area.
  for (const CocoCell& cell :
       match_coco(CocoTask::kBox, images, categories,
                  coco_ground_truth(annotations, CocoTask::kBox, pool), counted, pool)) {
    Counts& image = counts[static_cast<size_t>(cell.image)];
    image.objects += cell.objects[0];
    for (const CocoMark& mark : cell.marks) {
      if ((mark.ignored[0] & 1) != 0) continue;
      ++image.detections;
      image.matched += mark.matched[0] & 1;
    }
  }
  std::string csv = csv_line({"filename", "image_id", "objects", "detections", "matched"});
  for (size_t i = 0; i < counts.size(); ++i) {
    csv += csv_line({annotations.images[i].file_name, std::to_string(annotations.images[i].id),
                     std::to_string(counts[i].objects), std::to_string(counts[i].detections),
                     std::to_string(counts[i].matched)});
  }
  return csv;
}

}  // namespace asmlp::cli
