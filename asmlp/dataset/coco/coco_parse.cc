// From JSON to CocoAnnotations: records one by one, then what needs all of them (ids, sizes).
#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/coco/coco_json.h"
#include "asmlp/dataset/coco/coco_outline.h"
#include "asmlp/dataset/coco/coco_record.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// An annotation whose image and category are ids of the file yet: "categories" often come last.
struct Pending {
  CocoAnnotation annotation;
  int64_t image_id = 0;
  int64_t category_id = 0;
};

// Pixel columns that may be drawn for areas that a file does not say. An outline takes some bytes
// for each column that it crosses; a file of some hundred bytes an object may name huge ones.
constexpr double kDrawnColumns = 1 << 22;
constexpr double kDrawnColumnsPerByte = 4;

std::string named(const CocoAnnotation& annotation) {
  return fmt::format("annotation {}", annotation.id);
}

// A side of an image; 0 when the record does not say it.
int side_of(const Json& record, const char* key) {
  const auto side = whole_number(record, key);
  return side && *side >= 1 && *side <= kMaxMaskSide ? static_cast<int>(*side) : 0;
}

class Reader {
 public:
  explicit Reader(std::string what) : what_(std::move(what)) {}

  CocoAnnotations read(std::string_view json) {
    columns_left_ = kDrawnColumns + kDrawnColumnsPerByte * double(json.size());
    for_each_record(json, what_, {"images", "categories", "annotations"}, 2,
                    [&](int list, int64_t index, const Json& record) {
                      if (list == 0) add_image(index, record);
                      if (list == 1) add_category(index, record);
                      if (list == 2) add_annotation(index, record);
                    });
    sort_by_id(result_.images, "images", CocoSkips::kBadImage, &CocoImage::file_name);
    sort_by_id(result_.categories, "categories", CocoSkips::kBadCategory, &CocoCategory::name);
    resolve();
    result_.group_by_image();
    return std::move(result_);
  }

 private:
  void add_image(int64_t index, const Json& record) {
    const auto id = whole_number(record, "id");
    // LVIS has only the address.
    std::optional<std::string> file_name;
    for (const char* key : {"file_name", "coco_url", "path"}) {
      file_name = text(record, key);
      if (file_name && !file_name->empty()) break;
      file_name.reset();
    }
    if (!id || !file_name) {
      return skip(CocoSkips::kBadImage, fmt::format("entry {} of \"images\"", index));
    }
    int height = side_of(record, "height"), width = side_of(record, "width");
    if (height == 0 || width == 0) height = width = 0;
    result_.images.push_back({*id, std::move(*file_name), height, width});
  }

  void add_category(int64_t index, const Json& record) {
    const auto id = whole_number(record, "id");
    if (!id) {
      return skip(CocoSkips::kBadCategory, fmt::format("entry {} of \"categories\"", index));
    }
    auto name = text(record, "name");
    if (!name || name->empty()) {
      const Json* value = member(record, "name");
      name = value != nullptr && value->is_number() ? value->dump() : std::to_string(*id);
    }
    result_.categories.push_back(
        {*id, std::move(*name), text(record, "supercategory").value_or("")});
  }

  // Of records of one id with the same content the first stays.
  template <typename Element>
  void sort_by_id(std::vector<Element>& elements, const char* list, CocoSkips::Reason reason,
                  std::string Element::*name) {
    require(!elements.empty(), ErrorCode::kBadFormat,
            "{}: \"{}\" is empty, or has no entry that can be used{}{}", what_, list,
            result_.skips.counts[reason] > 0 ? ", first: " : "", result_.skips.first[reason]);
    std::ranges::stable_sort(elements, {}, &Element::id);
    const auto is_again = [&](const auto& a, const auto& b) {
      if (a.id != b.id) return false;
      require(a.*name == b.*name, ErrorCode::kBadFormat,
              "{}: two entries of \"{}\" have the id {}, '{}' and '{}'; ids must differ", what_,
              list, a.id, a.*name, b.*name);
      skip(reason, fmt::format("'{}' of the id {} again", b.*name, b.id));
      return true;
    };
    elements.erase(std::unique(elements.begin(), elements.end(), is_again), elements.end());
  }

  void add_annotation(int64_t index, const Json& record) {
    const auto id = whole_number(record, "id");
    const auto image_id = whole_number(record, "image_id");
    const auto category_id = whole_number(record, "category_id");
    const std::string entry = fmt::format("entry {} of \"annotations\"", index);
    if (!image_id || !category_id) return skip(CocoSkips::kMalformed, entry);
    Pending pending{{}, *image_id, *category_id};
    CocoAnnotation& annotation = pending.annotation;
    annotation.id = id.value_or(-index - 1);
    const auto crowd = flag(record, "iscrowd");
    if (!crowd) return skip(CocoSkips::kBadCrowd, named(annotation));
    annotation.crowd = *crowd;
    read_segmentation(record, annotation);
    const auto box = box_of(record);
    if (!box && !annotation.has_outline()) return skip(CocoSkips::kBadBox, named(annotation));
    annotation.box = box ? *box : box_of_outline(annotation);
    if (id && is_duplicate(pending)) return skip(CocoSkips::kDuplicate, named(annotation));
    if (!box) skip(CocoSkips::kBoxOfOutline, named(annotation));
    if (!id) skip(CocoSkips::kNoId, entry);
    if (id && *id == 0) skip(CocoSkips::kIdZero, entry);
    annotation.area = finite_number(record, "area").value_or(-1);  // resolve() computes it
    pending_.push_back(std::move(pending));
  }

  // Whether the annotation of the same id says the same.
  bool is_duplicate(const Pending& pending) {
    const auto [known, fresh] = ids_.emplace(pending.annotation.id, pending_.size());
    if (fresh) return false;
    const Pending& other = pending_[known->second];
    if (other.image_id == pending.image_id && other.category_id == pending.category_id &&
        other.annotation.box == pending.annotation.box) {
      return true;
    }
    skip(CocoSkips::kRepeatedId, named(pending.annotation));
    return false;
  }

  void read_segmentation(const Json& record, CocoAnnotation& annotation) {
    const Json* segmentation = member(record, "segmentation");
    if (segmentation == nullptr) return;
    try {
      for (int left_out = read_outline(*segmentation, annotation); left_out > 0; --left_out) {
        skip(CocoSkips::kShortPolygon, named(annotation));
      }
    } catch (const Error& error) {
      skip(CocoSkips::kBadSegmentation, fmt::format("{}: {}", named(annotation), error.what()));
    }
  }

  // Ids to indices; what belongs to nothing is skipped.
  void resolve() {
    result_.annotations.reserve(pending_.size());
    std::unordered_map<int64_t, int> labels;
    for (size_t k = 0; k < result_.categories.size(); ++k) {
      labels.emplace(result_.categories[k].id, static_cast<int>(k));
    }
    for (; !pending_.empty(); pending_.pop_front()) {  // never two copies of all
      Pending& pending = pending_.front();
      CocoAnnotation& annotation = pending.annotation;
      annotation.image = result_.find_image(pending.image_id);
      const auto label = labels.find(pending.category_id);
      annotation.label = label == labels.end() ? -1 : label->second;
      if (annotation.image < 0) {
        skip(CocoSkips::kUnknownImage,
             fmt::format("{} of image {}", named(annotation), pending.image_id));
        continue;
      }
      if (annotation.label < 0) {
        skip(CocoSkips::kUnknownCategory,
             fmt::format("{} of category {}", named(annotation), pending.category_id));
        continue;
      }
      const CocoImage& image = result_.images[static_cast<size_t>(annotation.image)];
      check_mask_size(annotation, image, result_.skips);
      if (annotation.area < 0) {
        skip(CocoSkips::kNoArea, named(annotation));
        annotation.area = area_of(annotation, image);
      }
      result_.annotations.push_back(std::move(annotation));
    }
  }

  // The area of the mask, as in COCO's own files; else of the box. Where that would take far longer
  // than to read the file, the area that the polygons enclose.
  double area_of(const CocoAnnotation& annotation, CocoImage image) {
    if (!annotation.has_outline()) return annotation.box[2] * annotation.box[3];
    if (annotation.mask.counts.empty() && image.height == 0) {  // a size that holds the polygons
      const CocoBox box = box_of_outline(annotation);
      image.height = static_cast<int>(std::clamp(box[1] + box[3] + 1, 1.0, double{kMaxMaskSide}));
      image.width = static_cast<int>(std::clamp(box[0] + box[2] + 1, 1.0, double{kMaxMaskSide}));
    }
    if (annotation.mask.counts.empty()) {
      const double columns = crossed_columns(annotation, image.width);
      if (columns > columns_left_) return enclosed_area(annotation);
      columns_left_ -= columns;
    }
    return static_cast<double>(mask_area(coco_mask(annotation, image)));
  }

  void skip(CocoSkips::Reason reason, const std::string& which) {
    result_.skips.add(reason, which);
  }

  std::string what_;
  double columns_left_ = 0;  // that may be drawn for areas
  CocoAnnotations result_;
  std::deque<Pending> pending_;
  std::unordered_map<int64_t, size_t> ids_;  // the first annotation of an id
};

}  // namespace

std::optional<CocoBox> box_of(const Json& record) {
  const Json* value = member(record, "bbox");
  const auto list = value != nullptr ? numbers(*value) : std::nullopt;
  if (!list || list->size() != 4) return std::nullopt;
  const CocoBox box = {(*list)[0], (*list)[1], (*list)[2], (*list)[3]};
  const bool usable = box[2] >= 0 && box[3] >= 0 && std::ranges::all_of(box, [](double value) {
                        return std::abs(value) <= kMaxPolygonCoordinate;
                      });
  return usable ? std::optional(box) : std::nullopt;
}

MaskRle mask_of(const Json& value) {
  const Json* size = member(value, "size");
  const Json* counts = member(value, "counts");
  require(size != nullptr && size->is_array() && size->size() == 2 && counts != nullptr,
          ErrorCode::kBadFormat, "run lengths need \"size\": [height, width] and \"counts\"");
  const auto height = whole_number((*size)[0]), width = whole_number((*size)[1]);
  require(height && width && *height >= 1 && *width >= 1 && *height <= kMaxMaskSide &&
              *width <= kMaxMaskSide,
          ErrorCode::kBadFormat, "run lengths with a size that is not two numbers of 1 to {}",
          kMaxMaskSide);
  const auto rows = static_cast<int>(*height), columns = static_cast<int>(*width);
  if (counts->is_string()) {
    return mask_from_string(counts->get_ref<const std::string&>(), rows, columns);
  }
  require(counts->is_array(), ErrorCode::kBadFormat,
          "run lengths whose \"counts\" are neither a string nor a list");
  std::vector<uint32_t> runs;
  for (const Json& element : *counts) {
    const auto run = whole_number(element);
    require(run && *run >= 0 && *run <= UINT32_MAX, ErrorCode::kBadFormat,
            "run lengths with a count that is no whole number of pixels");
    runs.push_back(static_cast<uint32_t>(*run));
  }
  return mask_from_counts(std::move(runs), rows, columns);
}

void check_mask_size(CocoAnnotation& annotation, const CocoImage& image, CocoSkips& skips) {
  MaskRle& mask = annotation.mask;
  if (mask.counts.empty() || image.height == 0) return;
  if (mask.height == image.height && mask.width == image.width) return;
  skips.add(CocoSkips::kBadSegmentation,
            fmt::format("{}: a mask of {} x {} pixels (height x width) in an image of {} x {}",
                        named(annotation), mask.height, mask.width, image.height, image.width));
  mask = {};
}

CocoAnnotations parse_coco(std::string_view json, const std::string& what) {
  try {
    return Reader(what).read(json);
  } catch (const Error& error) {
    // Only now: looking for such numbers takes a second pass.
    const auto cleaned = without_python_numbers(json);
    if (!cleaned) throw;
    return Reader(what).read(*cleaned);
  }
}

CocoAnnotations read_coco(const std::filesystem::path& path) {
  const MappedFile file = map_file(path);
  return parse_coco({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()},
                    path.string());
}

}  // namespace asmlp
