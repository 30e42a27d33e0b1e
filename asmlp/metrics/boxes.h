// Boxes in images: areas, overlaps, non-maximum suppression.
//
// A box is four floats x1, y1, x2, y2 in continuous pixel coordinates: its width is x2 - x1, never
// + 1. Lists of boxes are flat, box after box. All arithmetic is fp32 in the order of mmdetection
// and mmcv, so that borderline overlaps fall on the same side as there.
#pragma once

#include <limits>
#include <span>
#include <vector>

namespace asmlp {

// (x2 - x1) * (y2 - y1) of each box; negative when exactly one side is. Error (kInvalidArgument)
// when the number of floats is no multiple of 4, as in the functions below.
std::vector<float> box_areas(std::span<const float> boxes);

// Intersection over union of every box of `a` with every box of `b`: a.size() / 4 rows of b.size()
// / 4 columns. The union counts as 1e-6 where it is smaller (mmdetection's iou2d_calculator), so
// boxes without area overlap nothing.
std::vector<float> box_iou(std::span<const float> a, std::span<const float> b);

// Greedy non-maximum suppression: goes through the boxes by falling score and keeps each one whose
// overlap with no kept box is over `threshold` (strictly, as mmcv on CUDA and torchvision). Returns
// the indices of the kept boxes, best first, at most `max_kept`. Equal scores come in the order of
// the input, NaN scores last; a box without area suppresses none and is suppressed by none.
//
// All boxes are of one class here. To treat classes apart, the caller moves them apart: add
// class * (largest coordinate + 1) to all four coordinates (mmcv's batched_nms).
//
// Error (kInvalidArgument) when the number of scores is not that of the boxes.
std::vector<int> nms(std::span<const float> boxes, std::span<const float> scores, float threshold,
                     int max_kept = std::numeric_limits<int>::max());

}  // namespace asmlp
