#include "asmlp/segmentation/axis_taps.h"

#include <algorithm>
#include <map>

namespace asmlp::segment {
namespace {

// Between which cells a pixel lies.
struct Place {
  int64_t low = 0, high = 0;
  double weight = 0;  // of the higher one
};

// In fp32, as LibTorch computes it.
Place place_of(int64_t pixel, int64_t cells, int64_t pixels) {
  if (cells == pixels) return {pixel, pixel, 0};
  const float scale = static_cast<float>(cells) / static_cast<float>(pixels);
  const float at = std::max(0.0f, scale * (static_cast<float>(pixel) + 0.5f) - 0.5f);
  const int64_t low = std::min(static_cast<int64_t>(at), cells - 1);
  return {low, std::min(low + 1, cells - 1), at - static_cast<float>(low)};
}

using Sum = std::map<int64_t, double>;  // cell -> weight

// Adds `share` of a pixel of the view.
void add(const ViewAxis& view, int64_t pixel, double share, Sum& sum) {
  if (share == 0) return;
  // Both ends of the windows ascend.
  const auto first = std::ranges::upper_bound(view.windows, pixel, {}, &Rows::end);
  const auto last = std::ranges::upper_bound(view.windows, pixel, {}, &Rows::first);
  share /= static_cast<double>(last - first);
  for (auto window = first; window != last; ++window) {
    const int64_t before = (window - view.windows.begin()) * view.cells;
    const Place place = place_of(pixel - window->first, view.cells, view.padded);
    sum[before + place.low] += share * (1 - place.weight);
    sum[before + place.high] += share * place.weight;
  }
}

}  // namespace

AxisTaps taps_of(const ViewAxis& view, int64_t image_length) {
  AxisTaps taps;
  Sum sum;
  for (int64_t pixel = 0; pixel < image_length; ++pixel) {
    const Place place = place_of(pixel, view.length, image_length);
    sum.clear();
    add(view, place.low, 1 - place.weight, sum);
    add(view, place.high, place.weight, sum);
    for (const auto& [cell, weight] : sum) {
      if (static_cast<float>(weight) <= 0) continue;
      taps.index.push_back(static_cast<int32_t>(cell));
      taps.weight.push_back(static_cast<float>(weight));
    }
    taps.begin.push_back(static_cast<int32_t>(taps.index.size()));
  }
  return taps;
}

}  // namespace asmlp::segment
