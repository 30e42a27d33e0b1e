#include "asmlp/cli/dense/image_ids.h"

#include <fmt/format.h>

#include <optional>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/detection_record.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

std::string key_of(const fs::path& file) {
  return fs::absolute(file).lexically_normal().generic_string();
}

}  // namespace

ImageIds::ImageIds(const std::string& annotations, const DetectorSpec& spec)
    : from_file_(!annotations.empty()) {
  if (!from_file_) {
    coco_.categories = categories_of(spec.classes, spec.config.num_classes);
    return;
  }
  coco_ = read_coco(annotations);
  if (const std::string report = coco_.skips.report(); !report.empty()) {
    print_note(fmt::format("{}:\n{}", annotations, report));
  }
  for (const std::string& note :
       match_categories(coco_, spec.classes, spec.config.num_classes, annotations)) {
    print_note(note);
  }
  for (size_t i = 0; i < coco_.images.size(); ++i) {
    names_.add(local_name(coco_.images[i].file_name), static_cast<int>(i));
  }
}

int ImageIds::add(const fs::path& file, int64_t position, const Image& image) {
  if (!from_file_) {
    coco_.images.push_back({position + 1, file.string(), image.height, image.width});
    return static_cast<int>(coco_.images.size()) - 1;
  }
  const auto found = names_.find(key_of(file));
  require(found.has_value(), ErrorCode::kNotFound,
          "{}: is not in the annotations, or several of their images have this name",
          file.string());
  CocoImage& known = coco_.images[static_cast<size_t>(*found)];
  if (known.height == 0) {  // the file does not say it
    known.height = image.height;
    known.width = image.width;
  }
  require(known.height == image.height && known.width == image.width, ErrorCode::kMismatch,
          "{}: is {} x {}, the annotations say {} x {}", file.string(), image.height, image.width,
          known.height, known.width);
  return *found;
}

const CocoImage* ImageIds::find(const fs::path& file) const {
  const std::optional<int> found = names_.find(key_of(file));
  return found ? &coco_.images[static_cast<size_t>(*found)] : nullptr;
}

}  // namespace asmlp::cli
