#include "asmlp/metrics/coco_match.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/metrics/run_throwing.h"

namespace asmlp {
namespace {

struct Range {
  double low, high;
  bool holds(double area) const { return area >= low && area <= high; }
};
// 1e10 stands for no limit (COCOeval's Params), borders belong to both sides.
constexpr std::array<Range, kCocoAreas> kRanges = {{
    {0, 1e10},
    {0, 32 * 32},
    {32 * 32, 96 * 96},
    {96 * 96, 1e10},
}};

// numpy.linspace(0.5, 0.95, 10) to the bit.
std::array<double, kCocoOverlaps> overlap_thresholds() {
  std::array<double, kCocoOverlaps> thresholds{};
  const double step = (0.95 - 0.5) / (kCocoOverlaps - 1);
  for (int t = 0; t < kCocoOverlaps; ++t) thresholds[t] = t * step + 0.5;
  thresholds.back() = 0.95;
  return thresholds;
}

// Checks what truth and detections have in common, and remembers the size of the images' masks.
class Checker {
 public:
  Checker(CocoTask task, int images, int categories)
      : task_(task), images_(images), categories_(categories) {
    require(images >= 0 && categories >= 0, ErrorCode::kInvalidArgument,
            "an evaluation of {} images and {} categories", images, categories);
    if (task == CocoTask::kMask) sizes_.resize(static_cast<size_t>(images));
  }

  template <typename Object>
  void check(const Object& object, std::string_view what, size_t index) {
    require(object.image >= 0 && object.image < images_, ErrorCode::kInvalidArgument,
            "{} {} is in image {}; there are {} images", what, index, object.image, images_);
    require(object.label >= 0 && object.label < categories_, ErrorCode::kInvalidArgument,
            "{} {} has label {}; there are {} categories", what, index, object.label, categories_);
    if (task_ == CocoTask::kBox) {
      const bool finite = std::all_of(object.box.begin(), object.box.end(),
                                      [](double x) { return std::isfinite(x); });
      require(finite, ErrorCode::kInvalidArgument, "{} {} has a box that is not finite", what,
              index);
      return;
    }
    const MaskRle& mask = object.mask;
    auto& size = sizes_[static_cast<size_t>(object.image)];
    if (size[0] == 0) size = {mask.height, mask.width};
    require(mask.height > 0 && mask.width > 0, ErrorCode::kMismatch,
            "{} {} has no mask; evaluate boxes, or give every object a mask", what, index);
    require(size[0] == mask.height && size[1] == mask.width, ErrorCode::kMismatch,
            "{} {} has a mask of {} x {} pixels (height x width), another of image {} has {} x {}; "
            "masks must have the size of the image",
            what, index, mask.height, mask.width, object.image, size[0], size[1]);
  }

 private:
  CocoTask task_;
  int images_, categories_;
  std::vector<std::array<int, 2>> sizes_;
};

// Indices of objects, stably sorted by `key` in [0, keys).
template <typename Object>
std::vector<int> counting_sort(std::span<const Object> objects, const std::vector<int>& order,
                               int keys, int Object::*key) {
  std::vector<int> begin(static_cast<size_t>(keys) + 1);
  for (const Object& object : objects) ++begin[static_cast<size_t>(object.*key) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<int> sorted(order.size());
  for (const int index : order) sorted[begin[objects[index].*key]++] = index;
  return sorted;
}

// Indices by label, then by image, then in the order given.
template <typename Object>
std::vector<int> grouped(std::span<const Object> objects, int images, int categories) {
  std::vector<int> order(objects.size());
  std::iota(order.begin(), order.end(), 0);
  order = counting_sort(objects, order, images, &Object::image);
  return counting_sort(objects, order, categories, &Object::label);
}

// The objects and detections of one cell: parts of the grouped indices.
struct Group {
  int label = 0, image = 0;
  std::span<int> ground_truth, detections;
};

// Cuts the grouped indices where label or image change.
std::vector<Group> make_groups(std::span<const CocoGroundTruth> ground_truth,
                               std::span<int> truth_order,
                               std::span<const CocoDetection> detections,
                               std::span<int> detection_order) {
  using Key = std::pair<int, int>;
  constexpr Key kEnd = {std::numeric_limits<int>::max(), 0};
  size_t t = 0, d = 0;
  const auto truth_key = [&] {
    return t < truth_order.size()
               ? Key{ground_truth[truth_order[t]].label, ground_truth[truth_order[t]].image}
               : kEnd;
  };
  const auto detection_key = [&] {
    return d < detection_order.size()
               ? Key{detections[detection_order[d]].label, detections[detection_order[d]].image}
               : kEnd;
  };
  std::vector<Group> groups;
  for (;;) {
    const Key key = std::min(truth_key(), detection_key());
    if (key == kEnd) return groups;
    const size_t first_truth = t, first_detection = d;
    while (truth_key() == key) ++t;
    while (detection_key() == key) ++d;
    groups.push_back({key.first, key.second, truth_order.subspan(first_truth, t - first_truth),
                      detection_order.subspan(first_detection, d - first_detection)});
  }
}

class Matcher {
 public:
  Matcher(CocoTask task, std::span<const CocoGroundTruth> ground_truth,
          std::span<const CocoDetection> detections)
      : task_(task), truths_(ground_truth), detections_(detections) {}

  CocoCell match(const Group& group) const {
    std::stable_sort(group.detections.begin(), group.detections.end(),
                     [&](int a, int b) { return detections_[a].score > detections_[b].score; });
    const std::span<const int> best =
        group.detections.first(std::min<size_t>(group.detections.size(), kCocoDetections));
    CocoCell cell;
    cell.label = group.label;
    cell.image = group.image;
    cell.marks.resize(best.size());
    for (size_t d = 0; d < best.size(); ++d) cell.marks[d].score = detections_[best[d]].score;
    const std::vector<double> iou = overlaps(best, group.ground_truth);
    std::vector<double> areas;
    for (const int d : best) areas.push_back(area_of(detections_[d]));
    for (int area = 0; area < kCocoAreas; ++area) {
      match_area(area, areas, group.ground_truth, iou, cell);
    }
    return cell;
  }

 private:
  double area_of(const CocoDetection& detection) const {
    return task_ == CocoTask::kBox ? detection.box[2] * detection.box[3]
                                   : static_cast<double>(mask_area(detection.mask));
  }

  // Rows of detections, columns of objects.
  std::vector<double> overlaps(std::span<const int> best, std::span<const int> objects) const {
    if (task_ == CocoTask::kMask) {
      std::vector<const MaskRle*> a, b;
      std::vector<uint8_t> crowd;
      for (const int d : best) a.push_back(&detections_[d].mask);
      for (const int g : objects) {
        b.push_back(&truths_[g].mask);
        crowd.push_back(truths_[g].crowd);
      }
      return mask_iou(a, b, crowd);
    }
    std::vector<double> iou;
    iou.reserve(best.size() * objects.size());
    for (const int d : best) {
      for (const int g : objects) {
        iou.push_back(coco_box_iou(detections_[d].box, truths_[g].box, truths_[g].crowd));
      }
    }
    return iou;
  }

  // Fills what `cell` says of one area range.
  void match_area(int area, std::span<const double> areas, std::span<const int> objects,
                  std::span<const double> iou, CocoCell& cell) const {
    // Columns of `iou`: the objects to be found first, the ignored ones after them.
    std::vector<int> columns(objects.size());
    std::iota(columns.begin(), columns.end(), 0);
    const auto is_wanted = [&](int column) {
      const CocoGroundTruth& truth = truths_[objects[column]];
      return !truth.crowd && kRanges[area].holds(truth.area);
    };
    const auto ignored = std::stable_partition(columns.begin(), columns.end(), is_wanted);
    const auto wanted = static_cast<int>(ignored - columns.begin());
    cell.objects[area] = wanted;

    static const std::array<double, kCocoOverlaps> kThresholds = overlap_thresholds();
    std::vector<uint16_t> taken(objects.size());  // thresholds at which an object has its detection
    for (size_t d = 0; d < areas.size(); ++d) {
      CocoMark& mark = cell.marks[d];
      const double* row = iou.data() + d * objects.size();
      const bool outside = !kRanges[area].holds(areas[d]);
      for (int t = 0; t < kCocoOverlaps; ++t) {
        const auto bit = static_cast<uint16_t>(1u << t);
        double least = kThresholds[t];
        int found = -1;
        for (int g = 0; g < static_cast<int>(columns.size()); ++g) {
          // Whoever has found a wanted object does not look at the ignored ones.
          if (g == wanted && found >= 0) break;
          if ((taken[g] & bit) != 0 && !truths_[objects[columns[g]]].crowd) continue;
          if (row[columns[g]] < least) continue;  // of equal overlaps the last one is taken
          least = row[columns[g]];
          found = g;
        }
        if (found >= 0) {
          taken[found] |= bit;
          mark.matched[area] |= bit;
        }
        if (found >= wanted || (found < 0 && outside)) mark.ignored[area] |= bit;
      }
    }
  }

  CocoTask task_;
  std::span<const CocoGroundTruth> truths_;
  std::span<const CocoDetection> detections_;
};

}  // namespace

std::vector<CocoCell> match_coco(CocoTask task, int images, int categories,
                                 std::span<const CocoGroundTruth> ground_truth,
                                 std::span<const CocoDetection> detections, ThreadPool& pool) {
  constexpr auto kMost = static_cast<size_t>(std::numeric_limits<int>::max());
  require(ground_truth.size() <= kMost && detections.size() <= kMost, ErrorCode::kTooLarge,
          "more than {} objects to evaluate", kMost);
  Checker checker(task, images, categories);
  for (size_t i = 0; i < ground_truth.size(); ++i) {
    checker.check(ground_truth[i], "object", i);
    require(std::isfinite(ground_truth[i].area), ErrorCode::kInvalidArgument,
            "object {} has the area {}, must be finite", i, ground_truth[i].area);
  }
  for (size_t i = 0; i < detections.size(); ++i) {
    checker.check(detections[i], "detection", i);
    require(std::isfinite(detections[i].score), ErrorCode::kInvalidArgument,
            "detection {} has the score {}, must be finite", i, detections[i].score);
  }
  std::vector<int> truth_order = grouped(ground_truth, images, categories);
  std::vector<int> detection_order = grouped(detections, images, categories);
  const std::vector<Group> groups =
      make_groups(ground_truth, truth_order, detections, detection_order);

  const Matcher matcher(task, ground_truth, detections);
  std::vector<CocoCell> cells(groups.size());
  run_throwing(pool, static_cast<int>(groups.size()),
               [&](int i) { cells[i] = matcher.match(groups[i]); });
  return cells;
}

}  // namespace asmlp
