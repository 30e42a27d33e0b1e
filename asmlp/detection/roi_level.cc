#include "asmlp/detection/roi_level.h"

#include <cmath>

namespace asmlp::detect {

int roi_level(const Box& box, int levels, double finest_size) {
  const float size = std::sqrt((box.x2 - box.x1) * (box.y2 - box.y1));
  const float level = std::floor(std::log2(size / static_cast<float>(finest_size) + 1e-6f));
  if (!(level > 0)) return 0;
  return level < static_cast<float>(levels - 1) ? static_cast<int>(level) : levels - 1;
}

}  // namespace asmlp::detect
