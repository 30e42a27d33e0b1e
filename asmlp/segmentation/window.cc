#include "asmlp/segmentation/window.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp::segment {

void validate(const SlidingWindow& window) {
  require(window.crop >= 1 && window.crop <= 1 << 14, ErrorCode::kInvalidArgument,
          "crop {}: must be 1..16384", window.crop);
  require(window.stride >= 1 && window.stride <= window.crop, ErrorCode::kInvalidArgument,
          "stride {}: must be 1..{}, the crop: more would leave gaps", window.stride, window.crop);
}

std::vector<Rows> windows_of(int64_t length, const std::optional<SlidingWindow>& window) {
  if (!window || window->crop >= length) return {{0, length}};
  std::vector<Rows> all;
  const int64_t count = (length - window->crop + window->stride - 1) / window->stride + 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = std::min(i * window->stride + window->crop, length);
    all.push_back({end - window->crop, end});
  }
  return all;
}

}  // namespace asmlp::segment
