#include "asmlp/metrics/mask_rle.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/metrics/run_writer.h"

namespace asmlp {
namespace {

void check_sides(int height, int width) {
  require(height >= 0 && height <= kMaxMaskSide && width >= 0 && width <= kMaxMaskSide,
          ErrorCode::kInvalidArgument, "a mask of {} x {} pixels; sides of 0 to {} are possible",
          height, width, kMaxMaskSide);
}

void check(const MaskRle& mask) {
  check_sides(mask.height, mask.width);
  const uint64_t pixels = uint64_t(mask.height) * uint64_t(mask.width);
  const uint64_t sum = std::accumulate(mask.counts.begin(), mask.counts.end(), uint64_t{0});
  require(
      sum == pixels, ErrorCode::kBadFormat,
      "the run lengths of a mask of {} x {} pixels add up to {}, must be {}; is its size height, "
      "width, in this order?",
      mask.height, mask.width, sum, pixels);
}

void check_same_size(const MaskRle& a, const MaskRle& b) {
  require(
      a.height == b.height && a.width == b.width, ErrorCode::kMismatch,
      "masks of {} x {} and {} x {} pixels (height x width) cannot be compared; both must have the "
      "size of their image",
      a.height, a.width, b.height, b.width);
}

// Adds one column of bytes.
void add_column(RunWriter& runs, const uint8_t* column, int height) {
  for (int y = 0; y < height;) {
    const bool value = column[y] != 0;
    int end = y + 1;
    while (end < height && (column[end] != 0) == value) ++end;
    runs.add(value, static_cast<uint32_t>(end - y));
    y = end;
  }
}

// Calls visit(first column, columns, count) for strips of a row-major bitmap, turned column-major.
// A strip of 32 columns reads half a cache line per row and writes no more than a second-level
// cache holds.
template <typename Visit>
void for_each_strip(const BitmapView& bitmap, const Visit& visit) {
  constexpr int kStrip = 32;
  std::vector<uint8_t> columns(size_t{kStrip} * bitmap.height);
  for (int x0 = 0; x0 < bitmap.width; x0 += kStrip) {
    const int count = std::min(kStrip, bitmap.width - x0);
    for (int y = 0; y < bitmap.height; ++y) {
      const uint8_t* row = bitmap.pixels.data() + size_t(y) * bitmap.width + x0;
      for (int x = 0; x < count; ++x) columns[size_t(x) * bitmap.height + y] = row[x];
    }
    for (int x = 0; x < count; ++x) visit(columns.data() + size_t(x) * bitmap.height);
  }
}

// Walks two masks of the same size at once: visit(length, in_a, in_b) for every stretch in which
// neither changes.
template <typename Visit>
void walk_together(const MaskRle& a, const MaskRle& b, const Visit& visit) {
  size_t i = 0, j = 0;  // odd runs are inside
  uint32_t left_a = 0, left_b = 0;
  const size_t runs_a = a.counts.size(), runs_b = b.counts.size();
  if (runs_a == 0 || runs_b == 0) return;
  left_a = a.counts[0];
  left_b = b.counts[0];
  for (;;) {
    while (left_a == 0) {
      if (++i == runs_a) return;
      left_a = a.counts[i];
    }
    while (left_b == 0) {
      if (++j == runs_b) return;
      left_b = b.counts[j];
    }
    const uint32_t length = std::min(left_a, left_b);
    visit(length, (i & 1) != 0, (j & 1) != 0);
    left_a -= length;
    left_b -= length;
  }
}

int64_t area_of(const MaskRle& mask) {
  int64_t area = 0;
  for (size_t i = 1; i < mask.counts.size(); i += 2) area += mask.counts[i];
  return area;
}

int64_t shared_area(const MaskRle& a, const MaskRle& b) {
  int64_t shared = 0;
  walk_together(
      a, b, [&](uint32_t length, bool in_a, bool in_b) { shared += (in_a && in_b) ? length : 0; });
  return shared;
}

std::array<double, 4> box_of(const MaskRle& mask) {
  const auto height = static_cast<uint32_t>(mask.height);
  uint32_t left = std::numeric_limits<uint32_t>::max(), right = 0, top = left, bottom = 0;
  uint32_t begin = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const uint32_t end = begin + mask.counts[i];
    if (i % 2 == 1 && begin < end) {
      const uint32_t first_column = begin / height, last_column = (end - 1) / height;
      left = std::min(left, first_column);
      right = std::max(right, last_column);
      // A run over a column's end holds the last pixel of one column and the first of the next.
      const bool one_column = first_column == last_column;
      top = one_column ? std::min(top, begin - first_column * height) : 0;
      bottom = one_column ? std::max(bottom, end - 1 - last_column * height) : height - 1;
    }
    begin = end;
  }
  if (left > right) return {0, 0, 0, 0};
  return {double(left), double(top), double(right - left + 1), double(bottom - top + 1)};
}

MaskRle merge_two(const MaskRle& a, const MaskRle& b, MaskMerge how) {
  check_same_size(a, b);
  RunWriter runs;
  walk_together(a, b, [&](uint32_t length, bool in_a, bool in_b) {
    runs.add(how == MaskMerge::kUnion ? in_a || in_b : in_a && in_b, length);
  });
  return {a.height, a.width, runs.take()};
}

}  // namespace

MaskRle encode_mask(const BitmapView& bitmap) {
  return encode_patch(bitmap, 0, 0, bitmap.height, bitmap.width);
}

MaskRle encode_patch(const BitmapView& patch, int top, int left, int height, int width) {
  check_sides(height, width);
  check_sides(patch.height, patch.width);
  require(patch.pixels.size() == size_t(patch.height) * size_t(patch.width),
          ErrorCode::kInvalidArgument, "a bitmap of {} x {} has {} pixels", patch.height,
          patch.width, patch.pixels.size());
  require(top >= 0 && left >= 0 && top <= height - patch.height && left <= width - patch.width,
          ErrorCode::kInvalidArgument,
          "a patch of {} x {} at row {}, column {} is not inside a mask of {} x {}", patch.height,
          patch.width, top, left, height, width);
  const auto pixels_before = [&](int x) { return static_cast<uint32_t>(x) * height; };
  const auto above = static_cast<uint32_t>(top);
  const auto below = static_cast<uint32_t>(height - top - patch.height);
  RunWriter runs;
  runs.add(false, pixels_before(left));
  const auto add = [&](const uint8_t* column) {
    runs.add(false, above);
    add_column(runs, column, patch.height);
    runs.add(false, below);
  };
  if (patch.order == PixelOrder::kRowMajor) {
    for_each_strip(patch, add);
  } else {
    for (int x = 0; x < patch.width; ++x) add(patch.pixels.data() + size_t(x) * patch.height);
  }
  runs.add(false, pixels_before(width - left - patch.width));
  return {height, width, runs.take()};
}

std::vector<uint8_t> decode_mask(const MaskRle& mask, PixelOrder order) {
  check(mask);
  const auto height = static_cast<size_t>(mask.height), width = static_cast<size_t>(mask.width);
  std::vector<uint8_t> pixels(height * width);
  size_t at = 0;
  for (size_t i = 0; i < mask.counts.size(); at += mask.counts[i++]) {
    if (i % 2 == 0 || mask.counts[i] == 0) continue;
    if (order == PixelOrder::kColumnMajor) {
      std::memset(pixels.data() + at, 1, mask.counts[i]);
      continue;
    }
    size_t x = at / height, y = at % height;
    for (uint32_t count = mask.counts[i]; count > 0; --count) {
      pixels[y * width + x] = 1;
      if (++y == height) y = 0, ++x;
    }
  }
  return pixels;
}

std::string compress_counts(const MaskRle& mask) {
  check(mask);
  std::string text;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    int64_t value = mask.counts[i];
    if (i > 2) value -= mask.counts[i - 2];
    for (bool more = true; more;) {
      const auto group = static_cast<int>(value & 31);
      value >>= 5;
      // Enough when all bits left are copies of the sign, which is bit 4 of the last group.
      more = value != ((group & 16) != 0 ? -1 : 0);
      text.push_back(static_cast<char>('0' + group + (more ? 32 : 0)));
    }
  }
  return text;
}

MaskRle mask_from_string(std::string_view text, int height, int width) {
  std::vector<uint32_t> counts;
  for (size_t at = 0; at < text.size();) {
    int64_t value = 0;
    int shift = 0;
    for (bool more = true; more; shift += 5) {
      const int code = at < text.size() ? text[at] - '0' : -1;
      // 7 groups hold any difference of two 32-bit counts.
      require(code >= 0 && code < 64 && shift < 35, ErrorCode::kBadFormat,
              "the run-length string of a mask is broken at character {} of {}", at, text.size());
      ++at;
      more = (code & 32) != 0;
      value |= int64_t{code & 31} << shift;
      if (!more && (code & 16) != 0) value -= int64_t{32} << shift;
    }
    if (counts.size() > 2) value += counts[counts.size() - 2];
    require(value >= 0 && value <= std::numeric_limits<uint32_t>::max(), ErrorCode::kBadFormat,
            "the run-length string of a mask gives a run of {} pixels before character {}", value,
            at);
    counts.push_back(static_cast<uint32_t>(value));
  }
  return mask_from_counts(std::move(counts), height, width);
}

MaskRle mask_from_counts(std::vector<uint32_t> counts, int height, int width) {
  MaskRle mask{height, width, std::move(counts)};
  check(mask);
  return mask;
}

int64_t mask_area(const MaskRle& mask) {
  check(mask);
  return area_of(mask);
}

std::array<double, 4> mask_box(const MaskRle& mask) {
  check(mask);
  return box_of(mask);
}

MaskRle merge_masks(std::span<const MaskRle> masks, MaskMerge how) {
  if (masks.empty()) return {};
  for (const MaskRle& mask : masks) check(mask);
  MaskRle merged = masks[0];
  for (const MaskRle& mask : masks.subspan(1)) merged = merge_two(merged, mask, how);
  return merged;
}

double coco_box_iou(const std::array<double, 4>& a, const std::array<double, 4>& b,
                    bool b_is_crowd) {
  const double width = std::min(a[0] + a[2], b[0] + b[2]) - std::max(a[0], b[0]);
  if (width <= 0) return 0;
  const double height = std::min(a[1] + a[3], b[1] + b[3]) - std::max(a[1], b[1]);
  if (height <= 0) return 0;
  const double area_a = a[2] * a[3], shared = width * height;
  return shared / (b_is_crowd ? area_a : area_a + b[2] * b[3] - shared);
}

std::vector<double> mask_iou(std::span<const MaskRle* const> a, std::span<const MaskRle* const> b,
                             std::span<const uint8_t> b_is_crowd) {
  require(b_is_crowd.empty() || b_is_crowd.size() == b.size(), ErrorCode::kInvalidArgument,
          "{} crowd flags for {} masks", b_is_crowd.size(), b.size());
  struct Extent {
    std::array<double, 4> box;
    int64_t area;
  };
  const auto extent_of = [](const MaskRle* mask) {
    check(*mask);
    return Extent{box_of(*mask), area_of(*mask)};
  };
  std::vector<Extent> extents(b.size());
  std::transform(b.begin(), b.end(), extents.begin(), extent_of);
  std::vector<double> iou(a.size() * b.size(), 0.0);
  for (size_t i = 0; i < a.size() && !b.empty(); ++i) {
    const Extent own = extent_of(a[i]);
    for (size_t j = 0; j < b.size(); ++j) {
      check_same_size(*a[i], *b[j]);
      if (coco_box_iou(own.box, extents[j].box, false) == 0) continue;
      const int64_t shared = shared_area(*a[i], *b[j]);
      if (shared == 0) continue;
      const bool crowd = !b_is_crowd.empty() && b_is_crowd[j] != 0;
      const int64_t whole = crowd ? own.area : own.area + extents[j].area - shared;
      iou[i * b.size() + j] = static_cast<double>(shared) / static_cast<double>(whole);
    }
  }
  return iou;
}

}  // namespace asmlp
