#include "asmlp/metrics/boxes.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// Boxes side by side, so that a loop over them is one over arrays.
struct Columns {
  std::vector<float> x1, y1, x2, y2, area;

  size_t size() const { return x1.size(); }
  void push_back(const float* box) {
    x1.push_back(box[0]);
    y1.push_back(box[1]);
    x2.push_back(box[2]);
    y2.push_back(box[3]);
    area.push_back((box[2] - box[0]) * (box[3] - box[1]));
  }
};

size_t count_of(std::span<const float> boxes) {
  require(boxes.size() % 4 == 0, ErrorCode::kInvalidArgument,
          "{} floats are no list of boxes; a box is x1, y1, x2, y2", boxes.size());
  return boxes.size() / 4;
}

Columns columns_of(std::span<const float> boxes) {
  Columns columns;
  const size_t count = count_of(boxes);
  for (size_t i = 0; i < count; ++i) columns.push_back(&boxes[4 * i]);
  return columns;
}

inline float intersection(const Columns& a, size_t i, const Columns& b, size_t j) {
  const float width = std::min(a.x2[i], b.x2[j]) - std::max(a.x1[i], b.x1[j]);
  const float height = std::min(a.y2[i], b.y2[j]) - std::max(a.y1[i], b.y1[j]);
  return std::max(width, 0.0f) * std::max(height, 0.0f);
}

std::vector<int> by_falling_score(std::span<const float> scores) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return scores[a] > scores[b] || (std::isnan(scores[b]) && !std::isnan(scores[a]));
  });
  return order;
}

}  // namespace

std::vector<float> box_areas(std::span<const float> boxes) { return columns_of(boxes).area; }

std::vector<float> box_iou(std::span<const float> a, std::span<const float> b) {
  const Columns rows = columns_of(a), columns = columns_of(b);
  std::vector<float> iou(rows.size() * columns.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    float* out = iou.data() + i * columns.size();
    for (size_t j = 0; j < columns.size(); ++j) {
      const float shared = intersection(rows, i, columns, j);
      out[j] = shared / std::max(rows.area[i] + columns.area[j] - shared, 1e-6f);
    }
  }
  return iou;
}

std::vector<int> nms(std::span<const float> boxes, std::span<const float> scores, float threshold,
                     int max_kept) {
  const size_t count = count_of(boxes);
  require(scores.size() == count, ErrorCode::kInvalidArgument, "{} scores for {} boxes",
          scores.size(), count);
  const std::vector<int> order = by_falling_score(scores);
  Columns sorted;
  for (const int index : order) sorted.push_back(&boxes[4 * static_cast<size_t>(index)]);

  std::vector<int> kept;
  std::vector<int32_t> suppressed(count, 0);  // as wide as a float: the loop below is vectorised
  for (size_t i = 0; i < count && static_cast<int>(kept.size()) < max_kept; ++i) {
    if (suppressed[i]) continue;
    kept.push_back(order[i]);
    for (size_t j = i + 1; j < count; ++j) {
      const float shared = intersection(sorted, i, sorted, j);
      // 0 / 0 of two boxes without area is NaN, which is not over the threshold.
      suppressed[j] |= shared / (sorted.area[i] + sorted.area[j] - shared) > threshold;
    }
  }
  return kept;
}

}  // namespace asmlp
