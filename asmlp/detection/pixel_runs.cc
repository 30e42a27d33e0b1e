#include "asmlp/detection/pixel_runs.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/metrics/run_writer.h"

namespace asmlp::detect {

PixelRuns runs_in_image(const MaskRle& mask, const Tile& tile, int64_t image_height) {
  PixelRuns runs;
  const int64_t pixels = int64_t{mask.height} * mask.width;
  int64_t at = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const int64_t end = at + mask.counts[i];
    require(end <= pixels, ErrorCode::kBadFormat,
            "the counts of a mask of {} x {} are more than its pixels", mask.height, mask.width);
    // Odd counts are set; a run may cross columns, of which the image's are longer.
    while (i % 2 == 1 && at < end) {
      const int64_t x = at / mask.height, y = at % mask.height;
      const int64_t length = std::min(end - at, mask.height - y);
      const int64_t begin = (tile.left + x) * image_height + tile.top + y;
      runs.push_back({begin, begin + length});
      at += length;
    }
    at = end;
  }
  require(at == pixels, ErrorCode::kBadFormat,
          "the counts of a mask of {} x {} are fewer than its pixels", mask.height, mask.width);
  return runs;
}

int64_t pixels_of(const PixelRuns& runs) {
  int64_t sum = 0;
  for (const PixelRun& run : runs) sum += run.end - run.begin;
  return sum;
}

int64_t common_pixels(const PixelRuns& a, const PixelRuns& b) {
  int64_t sum = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    sum += std::max<int64_t>(0, std::min(i->end, j->end) - std::max(i->begin, j->begin));
    if (i->end < j->end) {
      ++i;
    } else {
      ++j;
    }
  }
  return sum;
}

int64_t pixels_inside(const PixelRuns& runs, const Tile& tile, int64_t image_height) {
  int64_t sum = 0;
  auto run = std::ranges::lower_bound(runs, tile.left * image_height, {}, &PixelRun::begin);
  for (; run != runs.end() && run->begin < (tile.left + tile.width) * image_height; ++run) {
    const int64_t y = run->begin % image_height;
    const int64_t first = std::max<int64_t>(y, tile.top);
    const int64_t end = std::min<int64_t>(y + run->end - run->begin, tile.top + tile.height);
    sum += std::max<int64_t>(0, end - first);
  }
  return sum;
}

PixelRuns joined(const PixelRuns& a, const PixelRuns& b) {
  PixelRuns all(a.size() + b.size()), result;
  std::ranges::merge(a, b, all.begin(), {}, &PixelRun::begin, &PixelRun::begin);
  for (const PixelRun& run : all) {
    if (!result.empty() && run.begin < result.back().end) {
      result.back().end = std::max(result.back().end, run.end);
    } else {
      result.push_back(run);
    }
  }
  return result;
}

MaskRle mask_of(const PixelRuns& runs, ImageSize image) {
  RunWriter writer;
  int64_t at = 0;
  for (const PixelRun& run : runs) {
    writer.add(false, static_cast<uint32_t>(run.begin - at));
    writer.add(true, static_cast<uint32_t>(run.end - run.begin));
    at = run.end;
  }
  writer.add(false, static_cast<uint32_t>(image.height * image.width - at));
  return {static_cast<int>(image.height), static_cast<int>(image.width), writer.take()};
}

}  // namespace asmlp::detect
