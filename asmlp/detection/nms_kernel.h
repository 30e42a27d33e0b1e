// The loop behind nms.h, single-threaded, on plain arrays.
#pragma once

#include <cstdint>

namespace asmlp::detect {

// Boxes, one array per coordinate, and whether they are gone (1, or 0). (The marks are as wide as
// the coordinates: a narrower type would need packing.)
struct BoxColumns {
  const float *x1, *y1, *x2, *y2, *area;
  int32_t* gone;
};

// Marks those of the boxes [begin, end) whose IoU with box `kept` is > threshold: the same bits on
// every ISA.
void suppress(const BoxColumns& boxes, int64_t kept, int64_t begin, int64_t end, float threshold);

}  // namespace asmlp::detect
