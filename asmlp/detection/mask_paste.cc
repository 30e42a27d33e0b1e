#include "asmlp/detection/mask_paste.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/detection/finite.h"
#include "asmlp/metrics/run_writer.h"

namespace asmlp::detect {
namespace {

using Place = PasteMemory::Place;
using Stretch = PasteMemory::Stretch;

// What the four cells around the pixels of a stretch say of all of them.
enum StretchKind { kMixed, kAllSet, kNoneSet };

// The pixels of an axis that [from, to] and one pixel around it cover; returns the first.
int64_t place_pixels(float from, float to, int64_t pixels, int cells, std::vector<Place>& places) {
  const auto edge = [&](float value) {
    return static_cast<int64_t>(std::clamp(value, 0.0f, static_cast<float>(pixels)));
  };
  const int64_t begin = edge(std::floor(from) - 1), end = edge(std::ceil(to) + 1);
  places.clear();
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    // From -1 to 1 over the mask, then to cells: the arithmetic of grid_sample.
    float u = (static_cast<float>(pixel) + 0.5f - from) / (to - from) * 2 - 1;
    if (!std::isfinite(u)) u = 0;
    const float cell = ((u + 1) * static_cast<float>(cells) - 1) / 2;
    if (cell <= -1 || cell >= static_cast<float>(cells)) {
      places.push_back({0, 0, 0, 0});
      continue;
    }
    const float floor = std::floor(cell);
    const int low = static_cast<int>(floor), high = low + 1;
    places.push_back({std::max(low, 0), std::min(high, cells - 1), low >= 0 ? floor + 1 - cell : 0,
                      high < cells ? cell - floor : 0});
  }
  return begin;
}

void cut_stretches(const std::vector<Place>& rows, std::vector<Stretch>& stretches) {
  stretches.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (stretches.empty() || stretches.back().low != rows[i].low ||
        stretches.back().high != rows[i].high) {
      stretches.push_back({i, i, rows[i].low, rows[i].high, kMixed});
    }
    stretches.back().end = i + 1;
  }
}

// Weights are at most 1 together, and exactly 1 between two cells; the sum of four products is
// rounded by less than 1e-6 of it.
int kind_of(const float* mask, int64_t width, const Stretch& rows, const Place& column,
            float threshold) {
  const float *upper = mask + rows.low * width, *lower = mask + rows.high * width;
  const float cells[]{upper[column.low], upper[column.high], lower[column.low], lower[column.high]};
  const float above = threshold * (1 + 1e-6f), below = threshold * (1 - 1e-6f);
  if (std::ranges::all_of(cells, [&](float cell) { return cell < below; })) return kNoneSet;
  const bool inside = rows.low != rows.high && column.low != column.high;
  if (inside && std::ranges::all_of(cells, [&](float cell) { return cell >= above; })) {
    return kAllSet;
  }
  return kMixed;
}

}  // namespace

void PasteMemory::reserve(ImageSize image, int cells) {
  x.reserve(static_cast<size_t>(image.width));
  y.reserve(static_cast<size_t>(image.height));
  stretches.reserve(static_cast<size_t>(cells) + 3);
}

MaskRle paste_mask(const float* probabilities, int h, int w, const Box& box, ImageSize image,
                   float threshold, PasteMemory& memory) {
  require(image.height > 0 && image.width > 0 && image.height <= kMaxMaskSide &&
              image.width <= kMaxMaskSide && threshold > 0 && h > 0 && w > 0,
          ErrorCode::kInvalidArgument,
          "paste_mask: an image of {} x {}, a mask of {} x {}, and threshold {}; must be positive "
          "and the sides at most {}",
          image.height, image.width, h, w, threshold, kMaxMaskSide);
  require(is_finite(box), ErrorCode::kInvalidArgument, "paste_mask: a box is not finite");
  const int64_t left = place_pixels(box.x1, box.x2, image.width, w, memory.x);
  const int64_t top = place_pixels(box.y1, box.y2, image.height, h, memory.y);
  const int64_t bottom = top + static_cast<int64_t>(memory.y.size());
  cut_stretches(memory.y, memory.stretches);
  RunWriter runs;
  const auto add = [&](bool value, int64_t pixels) {
    runs.add(value, static_cast<uint32_t>(pixels));
  };
  add(false, left * image.height);
  for (size_t i = 0; i < memory.x.size(); ++i) {
    const Place& column = memory.x[i];
    if (i == 0 || column.low != memory.x[i - 1].low || column.high != memory.x[i - 1].high) {
      for (Stretch& rows : memory.stretches) {
        rows.kind = kind_of(probabilities, w, rows, column, threshold);
      }
    }
    add(false, top);
    for (const Stretch& rows : memory.stretches) {
      if (rows.kind != kMixed) {
        add(rows.kind == kAllSet, static_cast<int64_t>(rows.end - rows.begin));
        continue;
      }
      const float *upper = probabilities + int64_t{rows.low} * w,
                  *lower = probabilities + int64_t{rows.high} * w;
      for (size_t k = rows.begin; k < rows.end; ++k) {
        const Place& row = memory.y[k];
        add(upper[column.low] * (column.low_weight * row.low_weight) +
                    upper[column.high] * (column.high_weight * row.low_weight) +
                    lower[column.low] * (column.low_weight * row.high_weight) +
                    lower[column.high] * (column.high_weight * row.high_weight) >=
                threshold,
            1);
      }
    }
    add(false, image.height - bottom);
  }
  add(false, (image.width - left - static_cast<int64_t>(memory.x.size())) * image.height);
  return {static_cast<int>(image.height), static_cast<int>(image.width), runs.take()};
}

}  // namespace asmlp::detect
