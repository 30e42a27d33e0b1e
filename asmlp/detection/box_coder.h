// Boxes as offsets from other boxes (Girshick et al., CVPR 2014, appendix C).
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "asmlp/detection/box.h"
#include "asmlp/model/detector_config.h"

namespace asmlp::detect {

// Decoding lets dw and dh grow or shrink a box by a factor of 1000 / 16 at most; dx and dy have no
// limit.
inline const double kMaxLogRatio = -std::log(16.0 / 1000);  // 4.135166556742356

// Offsets are dx, dy in widths and heights of the box, dw, dh as logarithms of the ratio of sizes;
// a network learns (offset - mean) / std.
struct BoxCoder {
  std::array<float, 4> means{0, 0, 0, 0};
  std::array<float, 4> stds{1, 1, 1, 1};
  double max_log_ratio = kMaxLogRatio;
};

// The coder of deltas that were divided by `stds` (rpn.box_stds, or a stage's), with the config's
// limit of dw and dh. Error(kInvalidArgument) unless there are four.
BoxCoder box_coder(const DetectorConfig& config, const std::vector<double>& stds);

// The box that the four numbers `delta` make of `box`, in fp32. With `clip`, x is clamped to [0,
// width] and y to [0, height]. NaN stays NaN.
Box decode(const BoxCoder& coder, const Box& box, const float* delta, const ImageSize* clip);

}  // namespace asmlp::detect
