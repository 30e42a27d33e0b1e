#include "asmlp/torch/segment/band_resize.h"

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::segment {
namespace {

// Row `row` of the result lies between two rows of the map.
struct Place {
  int64_t upper = 0, lower = 0;
  float weight = 0;  // of the lower one
};

// In fp32, as LibTorch computes it.
Place place_of(int64_t row, int64_t height, int64_t new_height) {
  if (height == new_height) return {row, row, 0};
  const float scale = static_cast<float>(height) / static_cast<float>(new_height);
  const float at = std::max(0.0f, scale * (static_cast<float>(row) + 0.5f) - 0.5f);
  const int64_t upper = std::min(static_cast<int64_t>(at), height - 1);
  return {upper, std::min(upper + 1, height - 1), at - static_cast<float>(upper)};
}

}  // namespace

Rows source_rows(int64_t height, int64_t new_height, Rows wanted) {
  return {place_of(wanted.first, height, new_height).upper,
          place_of(wanted.end - 1, height, new_height).lower + 1};
}

torch::Tensor resized_rows(const torch::Tensor& band, int64_t first, const BandResize& resize,
                           Rows wanted) {
  const Rows needed = source_rows(resize.height, resize.new_height, wanted);
  require(needed.first >= first && needed.end <= first + band.size(1), ErrorCode::kInvalidArgument,
          "resizing needs rows {}..{}, there are {}..{}", needed.first, needed.end - 1, first,
          first + band.size(1) - 1);
  torch::Tensor rows = band.narrow(1, needed.first - first, needed.count());
  if (band.size(2) != resize.new_width) {
    rows = torch::upsample_bilinear2d(rows.contiguous().unsqueeze(0),
                                      {needed.count(), resize.new_width}, false)
               .squeeze(0);
  }
  if (resize.height == resize.new_height) return rows;
  std::vector<int64_t> upper, lower;
  std::vector<float> weights;
  for (int64_t row = wanted.first; row < wanted.end; ++row) {
    const Place place = place_of(row, resize.height, resize.new_height);
    upper.push_back(place.upper - needed.first);
    lower.push_back(place.lower - needed.first);
    weights.push_back(place.weight);
  }
  const auto weight = torch::tensor(weights).view({1, -1, 1});
  return rows.index_select(1, torch::tensor(upper))
      .mul_(1 - weight)
      .add_(rows.index_select(1, torch::tensor(lower)).mul_(weight));
}

}  // namespace asmlp::segment
