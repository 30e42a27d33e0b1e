#include "asmlp/dataset/coco/coco.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/metrics/run_throwing.h"

namespace asmlp {
namespace {

// The value in hundredths when that is exact: when dividing gives the same double again.
std::optional<int32_t> hundredths(double value) {
  const double scaled = std::round(value * 100);
  if (!(std::abs(scaled) <= std::numeric_limits<int32_t>::max())) return std::nullopt;
  const auto whole = static_cast<int32_t>(scaled);
  // The bits, because -0.0 == 0.0.
  if (std::bit_cast<uint64_t>(whole / 100.0) != std::bit_cast<uint64_t>(value)) return std::nullopt;
  return whole;
}

// Words that a polygon of this header takes after it.
size_t words_of(int32_t header) {
  return header < 0 ? size_t{2} * -static_cast<int64_t>(header) : static_cast<size_t>(header);
}

constexpr const char* kReasonTexts[CocoSkips::kReasons] = {
    "annotations left out, without a whole image_id and category_id",
    "annotations left out, of unknown images",
    "annotations left out, of unknown categories",
    "annotations left out, the same as another",
    "annotations left out, without a usable bbox",
    "annotations left out, whose iscrowd is no flag",
    "annotations with an unusable segmentation, which count for boxes only",
    "polygons of fewer than 3 points, left out of their annotations",
    "annotations without a usable bbox, which have that of their outline",
    "annotations without a usable area, which is computed",
    "annotations without a whole id",
    "annotations with the id of another (pycocotools takes one for the other)",
    "annotations with the id 0 (pycocotools never counts them as found)",
    "images left out, without a whole id and a file name, or there twice",
    "categories left out, without a whole id, or there twice",
};

bool is_trainable(const CocoAnnotation& annotation, const CocoImage& image) {
  const auto [x, y, width, height] = annotation.box;
  const double inside_x = std::min(x + width, double(image.width)) - std::max(x, 0.0);
  const double inside_y = std::min(y + height, double(image.height)) - std::max(y, 0.0);
  return !annotation.crowd && annotation.area > 0 && width >= 1 && height >= 1 && inside_x > 0 &&
         inside_y > 0;
}

}  // namespace

void CocoPolygons::add(std::span<const double> xy) {
  const size_t header = data_.size();
  const auto count = static_cast<int32_t>(xy.size());
  data_.push_back(count);
  for (const double value : xy) {
    const auto exact = hundredths(value);
    if (!exact) {
      data_.resize(header);
      data_.push_back(-count);
      for (const double other : xy) {
        const auto words = std::bit_cast<std::array<int32_t, 2>>(other);
        data_.insert(data_.end(), words.begin(), words.end());
      }
      return;
    }
    data_.push_back(*exact);
  }
}

int CocoPolygons::size() const {
  int count = 0;
  for (size_t at = 0; at < data_.size(); at += 1 + words_of(data_[at])) ++count;
  return count;
}

std::vector<double> CocoPolygons::at(int polygon) const {
  size_t at = 0;
  for (int i = 0; i < polygon; ++i) at += 1 + words_of(data_[at]);
  const int32_t header = data_[at++];
  std::vector<double> xy(static_cast<size_t>(std::abs(int64_t{header})));
  for (double& value : xy) {
    if (header >= 0) {
      value = data_[at++] / 100.0;
    } else {
      value = std::bit_cast<double>(std::array<int32_t, 2>{data_[at], data_[at + 1]});
      at += 2;
    }
  }
  return xy;
}

int64_t CocoSkips::annotations() const {
  return std::accumulate(counts, counts + kBadSegmentation, int64_t{0});
}

std::string CocoSkips::report() const {
  std::string lines;
  for (int reason = 0; reason < kReasons; ++reason) {
    if (counts[reason] == 0) continue;
    if (!lines.empty()) lines += '\n';
    lines += fmt::format("  {} {}; first: {}", counts[reason], kReasonTexts[reason], first[reason]);
  }
  return lines;
}

void CocoSkips::add(Reason reason, const std::string& which) {
  if (counts[reason]++ == 0) first[reason] = which;
}

int CocoAnnotations::find_image(int64_t id) const {
  const auto found = std::ranges::lower_bound(images, id, {}, &CocoImage::id);
  return found == images.end() || found->id != id ? -1 : static_cast<int>(found - images.begin());
}

int CocoAnnotations::find_category(int64_t id) const {
  const auto found = std::ranges::find_if(
      categories, [&](const CocoCategory& c) { return c.in_file && c.id == id; });
  return found == categories.end() ? -1 : static_cast<int>(found - categories.begin());
}

void CocoAnnotations::group_by_image() {
  begin.assign(images.size() + 1, 0);
  for (const CocoAnnotation& annotation : annotations) {
    ++begin[static_cast<size_t>(annotation.image) + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  by_image.resize(annotations.size());
  std::vector<size_t> next(begin.begin(), begin.end() - 1);
  for (size_t i = 0; i < annotations.size(); ++i) {
    by_image[next[static_cast<size_t>(annotations[i].image)]++] = static_cast<int>(i);
  }
}

MaskRle coco_mask(const CocoAnnotation& annotation, const CocoImage& image) {
  if (!annotation.mask.counts.empty()) return annotation.mask;
  const int count = annotation.polygons.size();
  if (count == 0) {
    return mask_from_counts({uint32_t(image.height) * uint32_t(image.width)}, image.height,
                            image.width);
  }
  std::vector<MaskRle> masks;
  for (int i = 0; i < count; ++i) {
    masks.push_back(mask_from_polygon(annotation.polygons.at(i), image.height, image.width));
  }
  return count == 1 ? std::move(masks[0]) : merge_masks(masks, MaskMerge::kUnion);
}

bool has_masks(const CocoAnnotations& annotations) {
  return std::ranges::any_of(annotations.annotations,
                             [](const CocoAnnotation& a) { return !a.crowd && a.has_outline(); });
}

std::vector<CocoGroundTruth> coco_ground_truth(const CocoAnnotations& annotations, CocoTask task,
                                               ThreadPool& pool) {
  std::vector<CocoGroundTruth> ground_truth;
  std::vector<const CocoAnnotation*> sources;
  ground_truth.reserve(annotations.annotations.size());
  for (const CocoAnnotation& a : annotations.annotations) {
    if (task == CocoTask::kMask && !a.has_outline()) continue;
    ground_truth.push_back({a.image, a.label, a.box, a.area, a.crowd, {}});
    sources.push_back(&a);
  }
  if (task == CocoTask::kBox) return ground_truth;
  run_throwing(pool, static_cast<int>(ground_truth.size()), [&](int i) {
    const CocoAnnotation& annotation = *sources[static_cast<size_t>(i)];
    ground_truth[static_cast<size_t>(i)].mask =
        coco_mask(annotation, annotations.images[static_cast<size_t>(annotation.image)]);
  });
  return ground_truth;
}

void require_objects(const CocoAnnotations& annotations, const std::string& what) {
  const std::string report = annotations.skips.report();
  require(!annotations.annotations.empty(), ErrorCode::kBadFormat,
          "{}: has no annotation that can be used, so there is nothing to find{}{}", what,
          report.empty() ? "" : ": ", report);
  require(!std::ranges::all_of(annotations.annotations, &CocoAnnotation::crowd),
          ErrorCode::kBadFormat,
          "{}: all {} annotations are crowd regions (iscrowd 1), so there is no object to find{}{}",
          what, annotations.annotations.size(), report.empty() ? "" : ": ", report);
}

CocoAnnotations subset(const CocoAnnotations& annotations, const std::vector<bool>& keep) {
  CocoAnnotations result;
  result.categories = annotations.categories;
  std::vector<int> places(annotations.images.size(), -1);
  for (size_t i = 0; i < places.size(); ++i) {
    if (!keep[i]) continue;
    places[i] = static_cast<int>(result.images.size());
    result.images.push_back(annotations.images[i]);
  }
  for (const CocoAnnotation& annotation : annotations.annotations) {
    const int place = places[static_cast<size_t>(annotation.image)];
    if (place < 0) continue;
    result.annotations.push_back(annotation);
    result.annotations.back().image = place;
  }
  result.group_by_image();
  return result;
}

std::vector<CocoTrainingImage> coco_training_images(const CocoAnnotations& annotations) {
  constexpr int kMinSide = 32;
  std::vector<CocoTrainingImage> result;
  for (int i = 0; i < static_cast<int>(annotations.images.size()); ++i) {
    const CocoImage& image = annotations.images[static_cast<size_t>(i)];
    const std::span<const int> all = annotations.of_image(i);
    if (all.empty() || std::min(image.height, image.width) < kMinSide) continue;
    CocoTrainingImage kept{i, {}};
    for (const int a : all) {
      if (is_trainable(annotations.annotations[static_cast<size_t>(a)], image)) {
        kept.annotations.push_back(a);
      }
    }
    result.push_back(std::move(kept));
  }
  return result;
}

}  // namespace asmlp
