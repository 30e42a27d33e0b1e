// Polygons to masks. The rule is pycocotools' (it draws every edge point by point on a grid of 5
// points per pixel and then looks which steps pass the middle of a column); here the steps that
// matter are computed directly, so the cost depends on the columns that an edge crosses, not on its
// length in grid points.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>

#include "asmlp/core/error.h"
#include "asmlp/metrics/mask_rle.h"
#include "asmlp/metrics/run_writer.h"

namespace asmlp {
namespace {

constexpr int kScale = 5;  // grid points per pixel side
constexpr int kMiddle =
    2;  // a step from grid column 5 q + 2 to 5 q + 3 or back passes pixel column q
constexpr int64_t kMaxCrossings = int64_t{1} << 24;  // 64 MB while they are sorted

struct Point {
  int x, y;
};

// Rounds to the grid; negative values toward 0 after + 0.5, as a C cast does.
int to_grid(double value) { return static_cast<int>(kScale * value + 0.5); }

// Pixel columns whose middle lies between grid columns `low` and `high`, cut to [0, width).
struct ColumnRange {
  int begin, end;
};
ColumnRange columns_between(int low, int high, int width) {
  // Column q is passed when low <= 5 q + 2 and 5 q + 3 <= high.
  const auto round_up = [](int value) { return value <= 0 ? 0 : (value + kScale - 1) / kScale; };
  const int begin = round_up(low - kMiddle);
  const int end = high < kMiddle + 1 ? 0 : (high - kMiddle - 1) / kScale + 1;
  return {begin, std::max(begin, std::min(end, width))};
}

// The first pixel below grid row `y`: rows 5 p + 3 to 5 p + 7 give p + 1; cut to [0, height].
int first_row_below(int y, int height) {
  return std::min((std::max(y, kMiddle) + kMiddle) / kScale, height);
}

// One edge, directed so that its longer side rises; the other side follows a line in floating
// point, whose rounding decides which grid points the edge has.
class Edge {
 public:
  Edge(Point from, Point to)
      : steep_(std::abs(to.x - from.x) < std::abs(to.y - from.y)),
        swapped_(steep_ ? from.y > to.y : from.x > to.x),
        from_(swapped_ ? to : from),
        to_(swapped_ ? from : to) {
    slope_ = steep_ ? double(to_.x - from_.x) / (to_.y - from_.y)
                    : double(to_.y - from_.y) / (to_.x - from_.x);
  }

  ColumnRange columns(int width) const {
    return columns_between(std::min(from_.x, to_.x), std::max(from_.x, to_.x), width);
  }

  // The upper of the two grid rows between which the edge passes the middle of pixel column q.
  int row_at(int q) const {
    const int left = kScale * q + kMiddle;
    if (!steep_) return std::min(y_at(left - from_.x), y_at(left + 1 - from_.x));
    // The last step whose grid column is still on the side where the edge begins. x_at is monotone,
    // so the estimate is corrected by walking.
    const bool rising = slope_ > 0;
    const auto passed = [&](int step) { return rising ? x_at(step) > left : x_at(step) <= left; };
    int step = static_cast<int>((left + 0.5 - from_.x) / slope_);
    step = std::clamp(step, 0, to_.y - from_.y);
    while (step > 0 && passed(step)) --step;
    while (!passed(step + 1)) ++step;
    return from_.y + step;
  }

 private:
  int y_at(int step) const { return static_cast<int>(from_.y + slope_ * step + 0.5); }
  int x_at(int step) const { return static_cast<int>(from_.x + slope_ * step + 0.5); }

  bool steep_, swapped_;
  Point from_, to_;
  double slope_;
};

std::vector<Point> grid_points(std::span<const double> xy) {
  require(xy.size() >= 6 && xy.size() % 2 == 0, ErrorCode::kInvalidArgument,
          "a polygon of {} numbers; it needs x and y of at least 3 points", xy.size());
  std::vector<Point> points;
  for (size_t i = 0; i < xy.size(); i += 2) {
    for (const double value : {xy[i], xy[i + 1]}) {
      require(std::abs(value) <= kMaxPolygonCoordinate, ErrorCode::kInvalidArgument,
              "a polygon with the coordinate {}; {} is the largest", value, kMaxPolygonCoordinate);
    }
    points.push_back({to_grid(xy[i]), to_grid(xy[i + 1])});
  }
  return points;
}

}  // namespace

MaskRle mask_from_polygon(std::span<const double> xy, int height, int width) {
  require(height >= 0 && height <= kMaxMaskSide && width >= 0 && width <= kMaxMaskSide,
          ErrorCode::kInvalidArgument, "a mask of {} x {} pixels; sides of 0 to {} are possible",
          height, width, kMaxMaskSide);
  const std::vector<Point> points = grid_points(xy);
  std::vector<Edge> edges;
  int64_t crossings = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const Point from = points[i], to = points[(i + 1) % points.size()];
    if (from.x == to.x) continue;
    const auto [begin, end] = edges.emplace_back(from, to).columns(width);
    crossings += end - begin;
  }
  require(crossings <= kMaxCrossings, ErrorCode::kTooLarge,
          "a polygon of {} points crosses pixel columns {} times, {} are possible; simplify it",
          points.size(), crossings, kMaxCrossings);
  // Where inside and outside change places, as column-major pixel indices.
  std::vector<uint32_t> changes;
  changes.reserve(static_cast<size_t>(crossings));
  for (const Edge& edge : edges) {
    const auto [begin, end] = edge.columns(width);
    for (int q = begin; q < end; ++q) {
      const int row = first_row_below(edge.row_at(q), height);
      changes.push_back(uint32_t(q) * uint32_t(height) + uint32_t(row));
    }
  }
  std::sort(changes.begin(), changes.end());

  const uint32_t pixels = uint32_t(height) * uint32_t(width);
  RunWriter runs;
  bool inside = false;
  uint32_t at = 0;
  for (const uint32_t change : changes) {
    runs.add(inside, change - at);
    inside = !inside;
    at = change;
  }
  runs.add(inside, pixels - at);
  return {height, width, runs.take()};
}

}  // namespace asmlp
