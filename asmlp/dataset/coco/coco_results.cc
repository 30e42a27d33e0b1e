#include "asmlp/dataset/coco/coco_results.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_json.h"
#include "asmlp/dataset/coco/coco_record.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// fmt's shortest form that reads back as the same double.
std::string record_of(const CocoDetection& detection, size_t index, CocoTask task,
                      const CocoAnnotations& annotations) {
  const std::vector<CocoImage>& images = annotations.images;
  const std::vector<CocoCategory>& categories = annotations.categories;
  require(
      detection.image >= 0 && size_t(detection.image) < images.size() && detection.label >= 0 &&
          size_t(detection.label) < categories.size(),
      ErrorCode::kInvalidArgument,
      "detection {} has image {} and label {}; the annotations have {} images and {} categories",
      index, detection.image, detection.label, images.size(), categories.size());
  require(std::isfinite(detection.score), ErrorCode::kInvalidArgument,
          "detection {} has the score {}, must be finite", index, detection.score);
  const CocoImage& image = images[size_t(detection.image)];
  const std::string head =
      fmt::format("{{\"image_id\":{},\"category_id\":{},\"score\":{},", image.id,
                  categories[size_t(detection.label)].id, detection.score);
  if (task == CocoTask::kBox) {
    const auto& box = detection.box;
    require(std::ranges::all_of(box, [](double value) { return std::isfinite(value); }),
            ErrorCode::kInvalidArgument, "detection {} has a box that is not finite", index);
    return fmt::format("{}\"bbox\":[{},{},{},{}]}}", head, box[0], box[1], box[2], box[3]);
  }
  const MaskRle& mask = detection.mask;
  require(mask.height == image.height && mask.width == image.width, ErrorCode::kMismatch,
          "detection {} has a mask of {} x {} pixels (height x width), image {} has {} x {}", index,
          mask.height, mask.width, image.id, image.height, image.width);
  // The string may hold a backslash, which JSON wants escaped.
  return fmt::format("{}\"segmentation\":{{\"size\":[{},{}],\"counts\":{}}}}}", head, mask.height,
                     mask.width, Json(compress_counts(mask)).dump());
}

CocoDetection detection_of(const Json& record, int64_t index, const std::string& what,
                           CocoTask task, const CocoAnnotations& annotations) {
  const auto image_id = whole_number(record, "image_id");
  const auto category_id = whole_number(record, "category_id");
  const auto score = finite_number(record, "score");
  require(image_id && category_id && score, ErrorCode::kBadFormat,
          "{}: result {} needs image_id and category_id (whole numbers) and score", what, index);
  CocoDetection detection;
  detection.score = *score;
  detection.image = annotations.find_image(*image_id);
  detection.label = annotations.find_category(*category_id);
  require(
      detection.image >= 0, ErrorCode::kMismatch,
      "{}: result {} is of image {}, which is not in the annotations; do both belong to the same "
      "set?",
      what, index, *image_id);
  require(
      detection.label >= 0, ErrorCode::kMismatch,
      "{}: result {} is of category {}, which is not in the annotations; write ids of categories, "
      "not labels",
      what, index, *category_id);
  if (task == CocoTask::kBox) {
    const auto box = box_of(record);
    require(box.has_value(), ErrorCode::kBadFormat,
            "{}: result {} needs \"bbox\": [x, y, width, height] with sides >= 0", what, index);
    detection.box = *box;
    return detection;
  }
  const Json* segmentation = member(record, "segmentation");
  require(segmentation != nullptr, ErrorCode::kBadFormat,
          "{}: result {} needs \"segmentation\"; is this a file of boxes?", what, index);
  try {
    detection.mask = mask_of(*segmentation);
  } catch (const Error& error) {
    fail(error.code(), "{}: result {}: {}", what, index, error.what());
  }
  return detection;
}

}  // namespace

void write_coco_results(const std::filesystem::path& path, CocoTask task,
                        const CocoAnnotations& annotations,
                        std::span<const CocoDetection> detections) {
  write_file_atomically(path, [&](std::ostream& out) {
    const char* separator = "[\n";
    for (size_t i = 0; i < detections.size(); ++i) {
      const std::string record = record_of(detections[i], i, task, annotations);
      if (!annotations.categories[size_t(detections[i].label)].in_file) continue;
      out << separator << record;
      separator = ",\n";
    }
    if (separator[0] == '[') out << '[';
    out << "\n]\n";
  });
}

std::vector<CocoDetection> parse_coco_results(std::string_view json, const std::string& what,
                                              CocoTask task, const CocoAnnotations& annotations) {
  std::vector<CocoDetection> detections;
  for_each_element(json, what, [&](int, int64_t index, const Json& record) {
    detections.push_back(detection_of(record, index, what, task, annotations));
  });
  return detections;
}

std::vector<CocoDetection> read_coco_results(const std::filesystem::path& path, CocoTask task,
                                             const CocoAnnotations& annotations) {
  const MappedFile file = map_file(path);
  return parse_coco_results({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()},
                            path.string(), task, annotations);
}

}  // namespace asmlp
