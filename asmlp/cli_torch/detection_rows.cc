#include "asmlp/cli_torch/detection_rows.h"

#include <algorithm>
#include <vector>

#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

constexpr double kLeastIou = 0.5;

// Boxes are x, y, width, height.
template <typename A, typename B>
double common_area(const A& a, const B& b) {
  const double w =
      std::min(double(a[0]) + a[2], double(b[0]) + b[2]) - std::max(double(a[0]), double(b[0]));
  const double h =
      std::min(double(a[1]) + a[3], double(b[1]) + b[3]) - std::max(double(a[1]), double(b[1]));
  return w > 0 && h > 0 ? w * h : 0;
}

struct ImageObjects {
  std::vector<const CocoAnnotation*> objects, crowds;
  std::vector<const CocoDetection*> detections;
};

struct Counts {
  int64_t detections = 0, matched = 0;
};

Counts count(ImageObjects& image) {
  std::ranges::stable_sort(image.detections, std::greater(),
                           [](const CocoDetection* d) { return d->score; });
  Counts counts;
  std::vector<bool> taken(image.objects.size());
  for (const CocoDetection* d : image.detections) {
    const double own = double(d->box[2]) * d->box[3];
    double best = kLeastIou;
    size_t at = taken.size();
    for (size_t k = 0; k < taken.size(); ++k) {
      const CocoAnnotation& object = *image.objects[k];
      if (taken[k] || object.label != d->label) continue;
      const double common = common_area(d->box, object.box);
      const double all = own + double(object.box[2]) * object.box[3] - common;
      if (all <= 0 || common / all < best) continue;
      best = common / all;
      at = k;
    }
    if (at < taken.size()) {
      taken[at] = true;
      ++counts.matched;
    } else if (std::ranges::any_of(image.crowds, [&](const CocoAnnotation* crowd) {
                 return crowd->label == d->label && own > 0 &&
                        common_area(d->box, crowd->box) >= kLeastIou * own;
               })) {
      continue;
    }
    ++counts.detections;
  }
  return counts;
}

}  // namespace

std::string detection_rows(const CocoAnnotations& annotations,
                           std::span<const CocoDetection> detections) {
  std::vector<ImageObjects> images(annotations.images.size());
  for (const CocoAnnotation& a : annotations.annotations) {
    ImageObjects& image = images.at(static_cast<size_t>(a.image));
    (a.crowd ? image.crowds : image.objects).push_back(&a);
  }
  for (const CocoDetection& d : detections) {
    if (d.score >= kCountedScore) {
      images.at(static_cast<size_t>(d.image)).detections.push_back(&d);
    }
  }
  std::string csv = csv_line({"filename", "image_id", "objects", "detections", "matched"});
  for (size_t i = 0; i < images.size(); ++i) {
    const Counts counts = count(images[i]);
    csv += csv_line({annotations.images[i].file_name, std::to_string(annotations.images[i].id),
                     std::to_string(images[i].objects.size()), std::to_string(counts.detections),
                     std::to_string(counts.matched)});
  }
  return csv;
}

}  // namespace asmlp::cli
