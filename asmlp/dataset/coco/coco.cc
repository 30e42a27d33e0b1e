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

// Index of the element with this id in a list of rising ids, or -1.
template <typename Element>
int find_id(const std::vector<Element>& elements, int64_t id) {
  const auto found = std::ranges::lower_bound(elements, id, {}, &Element::id);
  if (found == elements.end() || found->id != id) return -1;
  return static_cast<int>(found - elements.begin());
}

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
    "annotations that are no objects with whole numbers id, image_id and category_id",
    "annotations of unknown images",
    "annotations of unknown categories",
    "annotations with the id of another",
    "annotations without a usable bbox and area",
    "annotations without a usable segmentation",
    "polygons of fewer than 3 points, left out of their annotations",
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
  return std::accumulate(std::begin(counts), std::end(counts), int64_t{0}) - counts[kShortPolygon];
}

std::string CocoSkips::report() const {
  std::string lines;
  for (int reason = 0; reason < kReasons; ++reason) {
    if (counts[reason] == 0) continue;
    if (!lines.empty()) lines += '\n';
    lines += fmt::format("{} {}; first: {}", counts[reason], kReasonTexts[reason], first[reason]);
  }
  return lines;
}

int CocoAnnotations::find_image(int64_t id) const { return find_id(images, id); }

int CocoAnnotations::find_category(int64_t id) const { return find_id(categories, id); }

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

std::vector<CocoGroundTruth> coco_ground_truth(const CocoAnnotations& annotations, CocoTask task,
                                               ThreadPool& pool) {
  std::vector<CocoGroundTruth> ground_truth;
  std::vector<const CocoAnnotation*> taken;
  ground_truth.reserve(annotations.annotations.size());
  for (const CocoAnnotation& a : annotations.annotations) {
    if (task == CocoTask::kMask && !a.has_outline()) continue;
    ground_truth.push_back({a.image, a.label, a.box, a.area, a.crowd, {}});
    taken.push_back(&a);
  }
  if (task == CocoTask::kBox) return ground_truth;
  run_throwing(pool, static_cast<int>(ground_truth.size()), [&](int i) {
    const CocoAnnotation& annotation = *taken[static_cast<size_t>(i)];
    ground_truth[static_cast<size_t>(i)].mask =
        coco_mask(annotation, annotations.images[static_cast<size_t>(annotation.image)]);
  });
  return ground_truth;
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
