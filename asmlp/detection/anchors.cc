#include "asmlp/detection/anchors.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::detect {
namespace {

// One per ratio, around the origin. The arithmetic is fp32, in this order, as in the authors' code:
// equal IoUs decide which anchors are trained (torch/detect/ops/assigner.h).
std::vector<Box> base_anchors(const AnchorConfig& config, int stride) {
  std::vector<Box> boxes;
  for (double ratio : config.ratios) {
    const float root = std::sqrt(static_cast<float>(ratio));
    const float width = static_cast<float>(stride) * (1 / root) * static_cast<float>(config.scale);
    const float height = static_cast<float>(stride) * root * static_cast<float>(config.scale);
    boxes.push_back({-0.5f * width, -0.5f * height, 0.5f * width, 0.5f * height});
  }
  return boxes;
}

}  // namespace

std::vector<Box> level_anchors(const AnchorConfig& config, size_t level, MapSize size) {
  require(level < config.strides.size(), ErrorCode::kInvalidArgument,
          "anchors: level {}, there are strides of {}", level, config.strides.size());
  const int stride = config.strides[level];
  require(stride > 0 && config.scale > 0 && !config.ratios.empty() &&
              std::ranges::all_of(config.ratios, [](double ratio) { return ratio > 0; }),
          ErrorCode::kInvalidArgument, "anchors: strides, ratios and scale must be positive");
  require(size.h > 0 && size.w > 0, ErrorCode::kInvalidArgument,
          "anchors: a map of {} x {} cells, must not be empty", size.h, size.w);
  const std::vector<Box> base = base_anchors(config, stride);
  std::vector<Box> anchors;
  anchors.reserve(static_cast<size_t>(size.h) * static_cast<size_t>(size.w) * base.size());
  for (int64_t row = 0; row < size.h; ++row) {
    const auto y = static_cast<float>(row * stride);
    for (int64_t column = 0; column < size.w; ++column) {
      const auto x = static_cast<float>(column * stride);
      for (const Box& box : base) {
        anchors.push_back({x + box.x1, y + box.y1, x + box.x2, y + box.y2});
      }
    }
  }
  return anchors;
}

}  // namespace asmlp::detect
