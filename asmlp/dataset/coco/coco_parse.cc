// From JSON to CocoAnnotations: records one by one, then what needs all of them (ids, sizes).
#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco.h"
#include "asmlp/dataset/coco/coco_json.h"
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

class Reader {
 public:
  explicit Reader(std::string what) : what_(std::move(what)) {}

  CocoAnnotations read(std::string_view json) {
    for_each_record(json, what_, {"images", "annotations", "categories"},
                    [&](int list, int64_t index, const Json& record) {
                      if (list == 0) add_image(index, record);
                      if (list == 1) add_annotation(index, record);
                      if (list == 2) add_category(index, record);
                    });
    sort_by_id(result_.images, "images");
    sort_by_id(result_.categories, "categories");
    resolve();
    group_by_image();
    return std::move(result_);
  }

 private:
  void add_image(int64_t index, const Json& record) {
    const auto id = whole_number(record, "id");
    const auto height = whole_number(record, "height"), width = whole_number(record, "width");
    auto file_name = text(record, "file_name");
    require(id && height && width && file_name, ErrorCode::kBadFormat,
            "{}: entry {} of \"images\" needs id, height, width (whole numbers) and file_name",
            what_, index);
    require(*height >= 1 && *width >= 1 && *height <= kMaxMaskSide && *width <= kMaxMaskSide,
            ErrorCode::kBadFormat,
            "{}: image {} has {} x {} pixels (height x width); sides of 1 to {} are possible",
            what_, *id, *height, *width, kMaxMaskSide);
    result_.images.push_back(
        {*id, std::move(*file_name), static_cast<int>(*height), static_cast<int>(*width)});
  }

  void add_category(int64_t index, const Json& record) {
    const auto id = whole_number(record, "id");
    auto name = text(record, "name");
    require(id && name, ErrorCode::kBadFormat,
            "{}: entry {} of \"categories\" needs id (a whole number) and name", what_, index);
    result_.categories.push_back({*id, std::move(*name)});
  }

  template <typename Element>
  void sort_by_id(std::vector<Element>& elements, const char* list) const {
    require(!elements.empty(), ErrorCode::kBadFormat, "{}: \"{}\" is empty", what_, list);
    std::ranges::sort(elements, {}, &Element::id);
    const auto twice = std::ranges::adjacent_find(elements, {}, &Element::id);
    require(twice == elements.end(), ErrorCode::kBadFormat,
            "{}: two entries of \"{}\" have the id {}; ids must differ", what_, list,
            twice == elements.end() ? 0 : twice->id);
  }

  void add_annotation(int64_t index, const Json& record) {
    const auto id = whole_number(record, "id");
    const auto image_id = whole_number(record, "image_id");
    const auto category_id = whole_number(record, "category_id");
    if (!id || !image_id || !category_id) {
      return skip(CocoSkips::kMalformed, fmt::format("entry {} of \"annotations\"", index));
    }
    const std::string name = fmt::format("annotation {}", *id);
    if (!ids_.insert(*id).second) return skip(CocoSkips::kDuplicateId, name);
    const auto box = box_of(record);
    const auto area = finite_number(record, "area");
    if (!box || !area) return skip(CocoSkips::kBadBox, name);
    Pending pending{{}, *image_id, *category_id};
    CocoAnnotation& annotation = pending.annotation;
    annotation.id = *id;
    annotation.box = *box;
    annotation.area = *area;
    const Json* crowd = member(record, "iscrowd");
    annotation.crowd =
        crowd != nullptr &&
        (crowd->is_boolean() ? crowd->get<bool>() : finite_number(*crowd).value_or(0) != 0);
    if (const Json* segmentation = member(record, "segmentation")) {
      try {
        read_segmentation(*segmentation, name, annotation);
      } catch (const Error& error) {
        return skip(CocoSkips::kBadSegmentation, fmt::format("{}: {}", name, error.what()));
      }
    }
    pending_.push_back(std::move(pending));
  }

  void read_segmentation(const Json& value, const std::string& name, CocoAnnotation& annotation) {
    if (value.is_null()) return;
    if (value.is_object()) {
      annotation.mask = mask_of(value);
      return;
    }
    require(value.is_array(), ErrorCode::kBadFormat, "neither polygons nor run lengths");
    for (const Json& polygon : value) {
      const auto xy = numbers(polygon);
      require(xy.has_value(), ErrorCode::kBadFormat, "a polygon that is no list of numbers");
      if (xy->size() < 6) {
        skip(CocoSkips::kShortPolygon, name);
        continue;
      }
      const bool usable = xy->size() % 2 == 0 && std::ranges::all_of(*xy, [](double value) {
                            return std::abs(value) <= kMaxPolygonCoordinate;
                          });
      require(usable, ErrorCode::kBadFormat,
              "a polygon of {} numbers; x and y of each point are needed, up to {} pixels",
              xy->size(), kMaxPolygonCoordinate);
      annotation.polygons.add(*xy);
    }
    require(value.empty() || !annotation.polygons.empty(), ErrorCode::kBadFormat,
            "no polygon of at least 3 points");
    annotation.polygons.shrink_to_fit();
  }

  // Ids to indices; what belongs to nothing is skipped.
  void resolve() {
    result_.annotations.reserve(pending_.size());
    for (; !pending_.empty(); pending_.pop_front()) {  // never two copies of all
      Pending& pending = pending_.front();
      CocoAnnotation& annotation = pending.annotation;
      annotation.image = result_.find_image(pending.image_id);
      annotation.label = result_.find_category(pending.category_id);
      if (annotation.image < 0) {
        skip(CocoSkips::kUnknownImage,
             fmt::format("annotation {} of image {}", annotation.id, pending.image_id));
        continue;
      }
      if (annotation.label < 0) {
        skip(CocoSkips::kUnknownCategory,
             fmt::format("annotation {} of category {}", annotation.id, pending.category_id));
        continue;
      }
      const CocoImage& image = result_.images[static_cast<size_t>(annotation.image)];
      const MaskRle& mask = annotation.mask;
      if (!mask.counts.empty() && (mask.height != image.height || mask.width != image.width)) {
        skip(CocoSkips::kBadSegmentation,
             fmt::format(
                 "annotation {} with a mask of {} x {} pixels (height x width) in an image of "
                 "{} x {}",
                 annotation.id, mask.height, mask.width, image.height, image.width));
        continue;
      }
      result_.annotations.push_back(std::move(annotation));
    }
  }

  void group_by_image() {
    std::vector<size_t>& begin = result_.begin;
    begin.assign(result_.images.size() + 1, 0);
    for (const auto& annotation : result_.annotations) {
      ++begin[static_cast<size_t>(annotation.image) + 1];
    }
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    result_.by_image.resize(result_.annotations.size());
    std::vector<size_t> next(begin.begin(), begin.end() - 1);
    for (size_t i = 0; i < result_.annotations.size(); ++i) {
      const auto image = static_cast<size_t>(result_.annotations[i].image);
      result_.by_image[next[image]++] = static_cast<int>(i);
    }
  }

  void skip(CocoSkips::Reason reason, const std::string& which) {
    if (result_.skips.counts[reason]++ == 0) result_.skips.first[reason] = which;
  }

  std::string what_;
  CocoAnnotations result_;
  std::deque<Pending> pending_;
  std::unordered_set<int64_t> ids_;
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

CocoAnnotations parse_coco(std::string_view json, const std::string& what) {
  return Reader(what).read(json);
}

CocoAnnotations read_coco(const std::filesystem::path& path) {
  const MappedFile file = map_file(path);
  return parse_coco({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()},
                    path.string());
}

}  // namespace asmlp
