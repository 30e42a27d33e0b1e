// Greedy non-maximum suppression, in fp32.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "asmlp/detection/box.h"
#include "asmlp/detection/parallel.h"

namespace asmlp::detect {

inline constexpr int64_t kKeepAll = -1;

// Scratch memory of nms and batched_nms: neither allocates anything for as many boxes (and classes)
// as were reserved.
struct NmsMemory {
  std::vector<uint64_t> order;  // keys of the scores, sorted
  std::vector<float> x1, y1, x2, y2, area;
  std::vector<int32_t> gone;
  std::vector<int32_t> rank;   // of the columns above: place in `order`
  std::vector<int32_t> first;  // column of each class, one entry more than classes
  std::vector<uint8_t> kept;   // by rank
  void reserve(int64_t boxes, int64_t classes = 1);
};

// Sets `kept` to the indices of the boxes that are kept, by falling score (NaN last), equal scores
// by rising index: a box is dropped when its IoU with one that is kept before it is > threshold
// (not >=). The IoU is intersection / union without a guard; two boxes of no area (0 / 0) never
// suppress each other, and a box with a NaN suppresses none. Stops after `limit` boxes unless that
// is kKeepAll. Error(kInvalidArgument) when there are not as many scores as boxes or a number is
// out of range.
void nms(std::span<const Box> boxes, std::span<const float> scores, double threshold, int64_t limit,
         const ParallelFor& parallel, NmsMemory& memory, std::vector<int32_t>& kept);

// The same among the boxes of equal class (0..2^24 - 1) only. As in the authors' code the boxes of
// class c are moved by c * (largest coordinate + 1) in fp32, which rounds them, and from 10000
// boxes on each class is treated by itself. With fewer boxes, classes that cannot touch after that
// move (no negative coordinate, all below 2^23) are not compared either.
void batched_nms(std::span<const Box> boxes, std::span<const float> scores,
                 std::span<const int32_t> classes, double threshold, int64_t limit,
                 const ParallelFor& parallel, NmsMemory& memory, std::vector<int32_t>& kept);

}  // namespace asmlp::detect
