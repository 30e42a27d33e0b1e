#include "asmlp/detection/nms_kernel.h"

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::detect {

void suppress(const BoxColumns& boxes, int64_t kept, int64_t begin, int64_t end, float threshold) {
  const float left = boxes.x1[kept], top = boxes.y1[kept], right = boxes.x2[kept],
              bottom = boxes.y2[kept], own = boxes.area[kept];
  const auto [x1, y1, x2, y2, area, gone] = boxes;
  run_vectorized([=, x1 = x1, y1 = y1, x2 = x2, y2 = y2, area = area, gone = gone]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) {
      const float from_x = left > x1[i] ? left : x1[i], to_x = right < x2[i] ? right : x2[i];
      const float from_y = top > y1[i] ? top : y1[i], to_y = bottom < y2[i] ? bottom : y2[i];
      const float width = to_x - from_x > 0 ? to_x - from_x : 0;
      const float height = to_y - from_y > 0 ? to_y - from_y : 0;
      const float shared = width * height;
      gone[i] |= shared / (own + area[i] - shared) > threshold ? 1 : 0;
    }
  });
}

}  // namespace asmlp::detect
