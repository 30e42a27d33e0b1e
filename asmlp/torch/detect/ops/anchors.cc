#include "asmlp/torch/detect/ops/anchors.h"

#include "asmlp/detection/anchors.h"
#include "asmlp/torch/detect/ops/spans.h"

namespace asmlp::detect {
namespace {

void check(const AnchorConfig& config, const std::vector<MapSize>& sizes) {
  require(sizes.size() == config.strides.size(), ErrorCode::kInvalidArgument,
          "anchors: {} map sizes for {} strides, must be as many", sizes.size(),
          config.strides.size());
}

}  // namespace

std::vector<torch::Tensor> make_anchors(const AnchorConfig& config,
                                        const std::vector<MapSize>& sizes, torch::Device device) {
  check(config, sizes);
  std::vector<torch::Tensor> anchors;
  for (size_t level = 0; level < sizes.size(); ++level) {
    anchors.push_back(tensor_of(level_anchors(config, level, sizes[level])).to(device));
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
