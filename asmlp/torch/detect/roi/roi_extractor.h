// Which level of a feature pyramid a RoI is pooled from (Lin et al., CVPR 2017, equation 1).
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/torch/detect/roi/roi_align.h"

namespace asmlp::detect {

// R x 5 (image, box) of the boxes of every image (each R_i x 4), in their order.
torch::Tensor rois_of(const std::vector<torch::Tensor>& boxes);

// roi_level (detection/roi_level.h) of each of `boxes` (R x 4): int64, R.
torch::Tensor roi_levels(const torch::Tensor& boxes, int64_t levels, double finest_size = 56);

// roi_align of every RoI (R x 5) from the map of its level: R x C x height x width, in the order of
// the RoIs. maps[l] has strides[l] pixels per cell, the finest first.
torch::Tensor extract_rois(const std::vector<torch::Tensor>& maps,
                           const std::vector<int64_t>& strides, const torch::Tensor& rois,
                           const RoiAlignOptions& options, double finest_size = 56);

}  // namespace asmlp::detect
