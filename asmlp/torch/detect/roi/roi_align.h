// RoIAlign (He et al., ICCV 2017) as the authors' detection code has it: average pooling, aligned
// to the centers of cells (what others call aligned = true).
#pragma once

#include <torch/torch.h>

#include <vector>

namespace asmlp::detect {

struct RoiAlignOptions {
  int64_t height = 7;  // bins
  int64_t width = 7;
  int64_t sampling_ratio = 0;  // samples per bin and axis; 0: ceil(size of the bin in cells)
};

// Pools every RoI from one of several maps: R x C x height x width.
//
// maps[l] is B x C x H_l x W_l with `scales[l]` cells per pixel; `rois` R x 5 (image in [0, B), x1,
// y1, x2, y2 in pixels), `levels` int64, R: index of the map. The gradient is that of the maps;
// RoIs have none. Samples and the map's edges: roi_samples.h.
//
// On the CPU the numbers are fp32 or fp64 (half-precision maps are widened), and the result has the
// same bits for any number of threads, as has the gradient. Maps with the memory of B x H x W x C
// (channels-last) are fastest; the result has the memory format of maps[0]. On other devices it is
// eager of LibTorch's operators. Without RoIs the result is empty, but still part of the graph.
//
// Error(kInvalidArgument) when shapes or types do not fit, an index is out of range, or a RoI is
// not finite.
torch::Tensor roi_align(const std::vector<torch::Tensor>& maps, const std::vector<double>& scales,
                        const torch::Tensor& rois, const torch::Tensor& levels,
                        const RoiAlignOptions& options);

// The same from a single map.
torch::Tensor roi_align(const torch::Tensor& map, double scale, const torch::Tensor& rois,
                        const RoiAlignOptions& options);

// The same of LibTorch's operators, a RoI at a time: for other devices, and as a reference.
torch::Tensor eager_roi_align(const std::vector<torch::Tensor>& maps,
                              const std::vector<double>& scales, const torch::Tensor& rois,
                              const torch::Tensor& levels, const RoiAlignOptions& options);

}  // namespace asmlp::detect
