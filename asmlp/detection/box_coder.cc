#include "asmlp/detection/box_coder.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp::detect {

BoxCoder box_coder(const DetectorConfig& config, const std::vector<double>& stds) {
  require(stds.size() == 4, ErrorCode::kInvalidArgument, "box_coder: {} stds, must be 4",
          stds.size());
  BoxCoder coder;
  for (size_t i = 0; i < 4; ++i) coder.stds[i] = static_cast<float>(stds[i]);
  coder.max_log_ratio = std::abs(std::log(config.wh_ratio_clip));
  return coder;
}

Box decode(const BoxCoder& coder, const Box& box, const float* delta, const ImageSize* clip) {
  const auto offset = [&](int i) { return delta[i] * coder.stds[i] + coder.means[i]; };
  const auto limit = static_cast<float>(coder.max_log_ratio);
  const float width = box.x2 - box.x1, height = box.y2 - box.y1;
  const float x = (box.x1 + box.x2) * 0.5f + width * offset(0);
  const float y = (box.y1 + box.y2) * 0.5f + height * offset(1);
  const float half_width = width * std::exp(std::clamp(offset(2), -limit, limit)) * 0.5f;
  const float half_height = height * std::exp(std::clamp(offset(3), -limit, limit)) * 0.5f;
  Box moved{x - half_width, y - half_height, x + half_width, y + half_height};
  if (clip != nullptr) {
    const auto right = static_cast<float>(clip->width), bottom = static_cast<float>(clip->height);
    moved = {std::clamp(moved.x1, 0.0f, right), std::clamp(moved.y1, 0.0f, bottom),
             std::clamp(moved.x2, 0.0f, right), std::clamp(moved.y2, 0.0f, bottom)};
  }
  return moved;
}

}  // namespace asmlp::detect
