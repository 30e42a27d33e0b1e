#include "asmlp/dataset/coco/coco_outline.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_json.h"
#include "asmlp/dataset/coco/coco_record.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// Pixel columns that the edges of an outline may cross: as many as mask_from_polygon takes.
constexpr double kMaxColumns = 1 << 23;

bool is_point(const Json& value) {
  return value.is_array() && value.size() == 2 && finite_number(value[0]) &&
         finite_number(value[1]);
}

// The coordinates of [x, y, x, y, ...] or [[x, y], [x, y], ...].
std::vector<double> coordinates_of(const Json& polygon) {
  if (polygon.is_null()) return {};
  std::vector<double> xy;
  if (polygon.is_array() && !polygon.empty() && std::ranges::all_of(polygon, is_point)) {
    for (const Json& point : polygon) {
      for (const Json& value : point) xy.push_back(*finite_number(value));
    }
    return xy;
  }
  auto list = numbers(polygon);
  require(list.has_value(), ErrorCode::kBadFormat, "a polygon that is no list of numbers");
  return std::move(*list);
}

void check_polygon(const std::vector<double>& xy) {
  const bool usable = xy.size() % 2 == 0 && std::ranges::all_of(xy, [](double value) {
                        return std::abs(value) <= kMaxPolygonCoordinate;
                      });
  require(usable, ErrorCode::kBadFormat,
          "a polygon of {} numbers; x and y of each point are needed, up to {} pixels", xy.size(),
          kMaxPolygonCoordinate);
  double columns = 0;
  for (size_t i = 0; i < xy.size(); i += 2) {
    const double from = xy[i], to = xy[(i + 2) % xy.size()];
    columns += std::min(std::abs(to - from), double(kMaxMaskSide)) + 1;
  }
  require(columns <= kMaxColumns, ErrorCode::kBadFormat,
          "a polygon of {} points whose edges are too long; simplify it", xy.size() / 2);
}

int read_list(const Json& list, CocoAnnotation& annotation) {
  // One polygon without the list around it, of numbers or of points.
  const bool flat = !list.front().is_array() && !list.front().is_null();
  const bool points = list.size() >= 3 && std::ranges::all_of(list, is_point);
  const Json single = flat || points ? Json::array({list}) : Json();
  int left_out = 0;
  for (const Json& polygon : single.is_null() ? list : single) {
    const std::vector<double> xy = coordinates_of(polygon);
    if (xy.size() < 6) {
      ++left_out;
      continue;
    }
    check_polygon(xy);
    annotation.polygons.add(xy);
  }
  annotation.polygons.shrink_to_fit();
  return left_out;
}

}  // namespace

int read_outline(const Json& segmentation, CocoAnnotation& annotation) {
  if (segmentation.is_string()) {
    const std::string& text = segmentation.get_ref<const std::string&>();
    if (text.empty()) return 0;
    // A text is an annotation's; the limits of records hold inside of it, too.
    const Json inside = is_record_json(text) ? Json::parse(text, nullptr, false) : Json("");
    require(inside.is_structured() || inside.is_null(), ErrorCode::kBadFormat,
            "neither polygons nor run lengths");
    return read_outline(inside, annotation);
  }
  if (segmentation.is_null() || segmentation == false) return 0;
  require(segmentation.is_structured(), ErrorCode::kBadFormat, "neither polygons nor run lengths");
  if (segmentation.empty()) return 0;
  try {
    if (segmentation.is_array()) return read_list(segmentation, annotation);
    annotation.mask = mask_of(segmentation);
  } catch (const Error&) {
    annotation.polygons = {};
    throw;
  }
  return 0;
}

CocoBox box_of_outline(const CocoAnnotation& annotation) {
  if (!annotation.mask.counts.empty()) return mask_box(annotation.mask);
  double low[2] = {kMaxPolygonCoordinate, kMaxPolygonCoordinate};
  double high[2] = {-kMaxPolygonCoordinate, -kMaxPolygonCoordinate};
  for (int p = 0; p < annotation.polygons.size(); ++p) {
    const std::vector<double> xy = annotation.polygons.at(p);
    for (size_t i = 0; i < xy.size(); ++i) {
      low[i % 2] = std::min(low[i % 2], xy[i]);
      high[i % 2] = std::max(high[i % 2], xy[i]);
    }
  }
  return {low[0], low[1], high[0] - low[0], high[1] - low[1]};
}

double crossed_columns(const CocoAnnotation& annotation, int width) {
  double columns = 0;
  for (int p = 0; p < annotation.polygons.size(); ++p) {
    const std::vector<double> xy = annotation.polygons.at(p);
    for (size_t i = 0; i < xy.size(); i += 2) {
      columns += std::min(std::abs(xy[(i + 2) % xy.size()] - xy[i]), double(width)) + 1;
    }
  }
  return columns;
}

double enclosed_area(const CocoAnnotation& annotation) {
  double sum = 0;
  for (int p = 0; p < annotation.polygons.size(); ++p) {
    const std::vector<double> xy = annotation.polygons.at(p);
    double twice = 0;
    for (size_t i = 0; i < xy.size(); i += 2) {
      const size_t next = (i + 2) % xy.size();
      twice += xy[i] * xy[next + 1] - xy[next] * xy[i + 1];
    }
    sum += std::abs(twice) / 2;
  }
  return sum;
}

}  // namespace asmlp
