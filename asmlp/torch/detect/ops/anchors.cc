#include "asmlp/torch/detect/ops/anchors.h"

#include <algorithm>
#include <cmath>

namespace asmlp::detect {
namespace {

void check(const AnchorConfig& config, const std::vector<MapSize>& sizes) {
  require(sizes.size() == config.strides.size(), ErrorCode::kInvalidArgument,
          "anchors: {} map sizes for {} strides, must be as many", sizes.size(),
          config.strides.size());
  const auto positive = [](auto value) { return value > 0; };
  require(std::ranges::all_of(config.strides, positive) &&
              std::ranges::all_of(config.ratios, positive) && !config.ratios.empty() &&
              config.scale > 0,
          ErrorCode::kInvalidArgument, "anchors: strides, ratios and scale must be positive");
  for (const MapSize& size : sizes) {
    require(size.h > 0 && size.w > 0, ErrorCode::kInvalidArgument,
            "anchors: a map of {} x {} cells, must not be empty", size.h, size.w);
  }
}

// ratios x 4, around the origin. The arithmetic is fp32, in this order, as in the authors' code:
// equal IoUs decide which anchors are trained (assigner.h).
torch::Tensor base_anchors(const AnchorConfig& config, int64_t stride) {
  std::vector<float> values;
  for (double ratio : config.ratios) {
    const float root = std::sqrt(static_cast<float>(ratio));
    const float width = static_cast<float>(stride) * (1 / root) * static_cast<float>(config.scale);
    const float height = static_cast<float>(stride) * root * static_cast<float>(config.scale);
    values.insert(values.end(), {-0.5f * width, -0.5f * height, 0.5f * width, 0.5f * height});
  }
  return torch::tensor(values).view({-1, 4});
}

}  // namespace

std::vector<torch::Tensor> make_anchors(const AnchorConfig& config,
                                        const std::vector<MapSize>& sizes, torch::Device device) {
  check(config, sizes);
  std::vector<torch::Tensor> anchors;
  for (size_t level = 0; level < sizes.size(); ++level) {
    const auto [height, width] = sizes[level];
    const int64_t stride = config.strides[level];
    const auto x = (torch::arange(width) * stride).to(torch::kFloat).expand({height, width});
    const auto y =
        (torch::arange(height) * stride).to(torch::kFloat).unsqueeze(1).expand({height, width});
    const auto corners = torch::stack({x, y, x, y}, 2).view({-1, 1, 4});
    anchors.push_back((corners + base_anchors(config, stride)).view({-1, 4}).to(device));
  }
  return anchors;
}

torch::Tensor usable_anchors(const AnchorConfig& config, const std::vector<MapSize>& sizes,
                             const std::vector<torch::Tensor>& anchors, ImageSize padded,
                             ImageSize image, int64_t allowed_border) {
  check(config, sizes);
  require(anchors.size() == sizes.size(), ErrorCode::kInvalidArgument,
          "usable_anchors: anchors of {} levels for {} map sizes", anchors.size(), sizes.size());
  require(allowed_border >= -1, ErrorCode::kInvalidArgument,
          "usable_anchors: allowed_border is {}, must be -1 (no limit) or more", allowed_border);
  std::vector<torch::Tensor> usable;
  for (size_t level = 0; level < sizes.size(); ++level) {
    const auto [height, width] = sizes[level];
    const int64_t stride = config.strides[level];
    const int64_t per_cell = static_cast<int64_t>(config.ratios.size());
    check_rows("usable_anchors: a level's anchors", anchors[level], height * width * per_cell);
    const auto inside = [&](int64_t cells, int64_t pixels) {
      return torch::arange(cells) < (pixels + stride - 1) / stride;
    };
    usable.push_back((inside(height, padded.height).unsqueeze(1) & inside(width, padded.width))
                         .unsqueeze(2)
                         .expand({height, width, per_cell})
                         .reshape({-1}));
  }
  const auto all = torch::cat(anchors);
  const auto flags = torch::cat(usable).to(all.device());
  if (allowed_border < 0) return flags;
  const auto edge = all.unbind(1);
  return flags & (edge[0] >= -allowed_border) & (edge[1] >= -allowed_border) &
         (edge[2] < image.width + allowed_border) & (edge[3] < image.height + allowed_border);
}

torch::Tensor flatten_map(const torch::Tensor& map, int64_t values) {
  require(map.dim() == 4 && values > 0 && map.size(1) % values == 0, ErrorCode::kInvalidArgument,
          "flatten_map: a map of {}, must be B x (anchors * {}) x H x W", shape_of(map), values);
  const int64_t rows = map.size(1) / values * map.size(2) * map.size(3);
  return map.permute({0, 2, 3, 1}).reshape({map.size(0), rows, values});
}

}  // namespace asmlp::detect
