// The first half of the COCO evaluation: which detections of an image find which objects.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "asmlp/core/thread_pool.h"
#include "asmlp/metrics/coco_eval.h"

namespace asmlp {

inline constexpr int kCocoAreas = 4;         // all, small, medium, large
inline constexpr int kCocoDetections = 100;  // of one image and category that count

// A detection after matching. Bit t of a mask speaks of overlap threshold t.
struct CocoMark {
  double score = 0;
  std::array<uint16_t, kCocoAreas> matched{};  // found an object
  std::array<uint16_t, kCocoAreas> ignored{};  // counts neither as right nor as wrong
};

// One category in one image.
struct CocoCell {
  int label = 0;
  int image = 0;
  std::array<int, kCocoAreas> objects{};  // that are to be found (not ignored) in each area range
  std::vector<CocoMark> marks;            // by falling score, at most kCocoDetections
};

// Matches every (category, image) that has truth or detections; the cells come by label, then by
// image. Arguments and errors as evaluate_coco.
std::vector<CocoCell> match_coco(CocoTask task, int images, int categories,
                                 std::span<const CocoGroundTruth> ground_truth,
                                 std::span<const CocoDetection> detections, ThreadPool& pool);

}  // namespace asmlp
