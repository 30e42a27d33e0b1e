// The anchors of a region proposal network (Ren et al., NIPS 2015; Lin et al., CVPR 2017), as the
// authors' detection code lays them out.
#pragma once

#include <cstddef>
#include <vector>

#include "asmlp/detection/box.h"
#include "asmlp/model/detector_config.h"

namespace asmlp::detect {

// The anchors of a pyramid level whose map has `size` cells: h * w * ratios boxes, in the order
// row, column, ratio. Those of a cell are centered at (column * stride, row * stride), its upper
// left corner; their width is scale * stride / sqrt(ratio), the height scale * stride *
// sqrt(ratio), not rounded. Error(kInvalidArgument) unless the level has a stride, and stride,
// ratios, scale, and sides are positive.
std::vector<Box> level_anchors(const AnchorConfig& config, size_t level, MapSize size);

}  // namespace asmlp::detect
