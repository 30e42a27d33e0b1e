// Any text as an annotation file, as a result file and as the run lengths of a mask: annotations
// and detections whose parts fit together, or an asmlp::Error.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/coco_results.h"

namespace {

using namespace asmlp;

constexpr std::string_view kPlainSet =
    R"({"images":[{"id":1,"file_name":"a","height":4,"width":6}],"annotations":[],)"
    R"("categories":[{"id":1,"name":"one"}]})";

void expect(bool condition) {
  if (!condition) std::abort();
}

void check_mask(const MaskRle& mask, int height, int width) {
  const int64_t area = mask_area(mask);
  const auto box = mask_box(mask);
  expect(mask.height == height && mask.width == width);
  expect(area >= 0 && area <= int64_t{height} * width && double(area) <= box[2] * box[3]);
  expect(box[0] + box[2] <= width && box[1] + box[3] <= height);
  expect(mask_from_string(compress_counts(mask), height, width) == mask);
}

void check_annotations(const CocoAnnotations& coco) {
  size_t grouped = 0;
  for (int i = 0; i < static_cast<int>(coco.images.size()); ++i) {
    for (const int a : coco.of_image(i)) {
      const CocoAnnotation& annotation = coco.annotations.at(size_t(a));
      const CocoImage& image = coco.images[size_t(i)];
      expect(annotation.image == i && annotation.label >= 0);
      expect(size_t(annotation.label) < coco.categories.size());
      expect(annotation.box[2] >= 0 && annotation.box[3] >= 0 && std::isfinite(annotation.area));
      // Polygons in a picture of usual size only: rasterizing costs time for each of its columns.
      if (image.width >= 1 && image.width <= 2048)
        check_mask(coco_mask(annotation, image), image.height, image.width);
      ++grouped;
    }
  }
  expect(grouped == coco.annotations.size());
  expect((coco.skips.annotations() == 0) || !coco.skips.report().empty());
  for (const CocoTrainingImage& image : coco_training_images(coco)) {
    expect(image.annotations.size() <= coco.of_image(image.image).size());
  }
  std::vector<bool> every_other(coco.images.size());
  for (size_t i = 0; i < every_other.size(); i += 2) every_other[i] = true;
  expect(subset(coco, every_other).annotations.size() <= coco.annotations.size());
  CocoAnnotations matched = coco;
  match_categories(matched, training_classes(coco), int(training_classes(coco).size()), "fuzz");
  expect(matched.annotations.size() == coco.annotations.size());
  for (const CocoAnnotation& a : matched.annotations) {
    expect(matched.categories.at(size_t(a.label)).in_file);
  }
  ThreadPool pool(1);
  for (const double value :
       evaluate_coco(CocoTask::kBox, int(coco.images.size()), int(coco.categories.size()),
                     coco_ground_truth(coco, CocoTask::kBox, pool), {}, pool)
           .stats()) {
    expect(value == 0 || value == -1);  // nothing was found
  }
}

template <typename Body>
void may_fail(const Body& body) {
  try {
    body();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const CocoAnnotations plain = parse_coco(kPlainSet, "plain");
  may_fail([&] { check_annotations(parse_coco(text, "fuzz")); });
  may_fail([&] { parse_coco_results(text, "fuzz", CocoTask::kBox, plain); });
  may_fail([&] {
    for (const auto& d : parse_coco_results(text, "fuzz", CocoTask::kMask, plain)) {
      check_mask(d.mask, d.mask.height, d.mask.width);
    }
  });
  may_fail([&] {
    const MaskRle mask = mask_from_string(text, 4, 6);
    expect(mask_area(mask) <= 24 && decode_mask(mask).size() == 24);
  });
  return 0;
}
