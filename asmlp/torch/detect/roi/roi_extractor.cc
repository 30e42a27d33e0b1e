#include "asmlp/torch/detect/roi/roi_extractor.h"

#include <algorithm>

#include "asmlp/detection/roi_level.h"
#include "asmlp/torch/detect/ops/boxes.h"
#include "asmlp/torch/detect/ops/spans.h"

namespace asmlp::detect {

torch::Tensor rois_of(const std::vector<torch::Tensor>& boxes) {
  require(!boxes.empty(), ErrorCode::kInvalidArgument, "rois_of: there is no image");
  std::vector<torch::Tensor> rois;
  for (size_t image = 0; image < boxes.size(); ++image) {
    check_boxes("rois_of: boxes", boxes[image]);
    rois.push_back(torch::constant_pad_nd(boxes[image], {1, 0}, static_cast<double>(image)));
  }
  return torch::cat(rois);
}

torch::Tensor roi_levels(const torch::Tensor& boxes, int64_t levels, double finest_size) {
  check_boxes("roi_levels: boxes", boxes);
  require(levels > 0 && finest_size > 0, ErrorCode::kInvalidArgument,
          "roi_levels: {} levels and a finest size of {}, must be positive", levels, finest_size);
  const auto dense = on_cpu(boxes);
  std::vector<int64_t> level;
  for (const Box& box : boxes_in(dense)) {
    level.push_back(roi_level(box, static_cast<int>(levels), finest_size));
  }
  return tensor_of(level).to(boxes.device());
}

torch::Tensor extract_rois(const std::vector<torch::Tensor>& maps,
                           const std::vector<int64_t>& strides, const torch::Tensor& rois,
                           const RoiAlignOptions& options, double finest_size) {
  require(std::ranges::all_of(strides, [](int64_t stride) { return stride > 0; }),
          ErrorCode::kInvalidArgument, "extract_rois: strides must be positive");
  require(rois.dim() == 2 && rois.size(1) == 5, ErrorCode::kInvalidArgument,
          "extract_rois: RoIs are {}, must be R x 5", shape_of(rois));
  std::vector<double> scales;
  for (int64_t stride : strides) scales.push_back(1.0 / static_cast<double>(stride));
  const auto levels =
      roi_levels(rois.slice(1, 1, 5), static_cast<int64_t>(maps.size()), finest_size);
  return roi_align(maps, scales, rois, levels, options);
}

}  // namespace asmlp::detect
