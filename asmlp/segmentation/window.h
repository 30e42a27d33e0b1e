// Windows that slide over an image.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace asmlp::segment {

// Rows, or columns, [first, end).
struct Rows {
  int64_t first = 0, end = 0;
  int64_t count() const { return end - first; }
};

// A network that sees crop x crop pixels at a time, `stride` pixels apart (mmseg's slide mode); the
// last window ends with the image. A side shorter than `crop` is seen as it is.
struct SlidingWindow {
  int crop = 512;
  int stride = 341;  // 1..crop
};

// Error(kInvalidArgument) naming the field, its value and the accepted range.
void validate(const SlidingWindow& window);

// The windows along a side of `length` pixels; one over all of it without `window`.
std::vector<Rows> windows_of(int64_t length, const std::optional<SlidingWindow>& window);

}  // namespace asmlp::segment
