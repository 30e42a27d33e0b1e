// The COCO evaluation of detections: average precision and recall of boxes or masks, the numbers of
// pycocotools' COCOeval with its standard settings (10 overlaps 0.50:0.05:0.95, 101 recalls
// 0:0.01:1, at most 1, 10 or 100 detections per image and category, areas split at 32^2 and 96^2
// pixels).
//
// In short: per image and category, detections by falling score take the free object of largest
// overlap at or over the threshold; objects that are crowds or outside of the area range are
// ignored, as are the detections that match them and the unmatched detections outside of the range.
// Per category the precision is made non-increasing and sampled at the recalls.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "asmlp/core/thread_pool.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp {

// x, y, width, height in pixels.
using CocoBox = std::array<double, 4>;

// What is compared: the `box` or the `mask` of truth and detections; the other is not looked at.
enum class CocoTask { kBox, kMask };

// An annotated object.
struct CocoGroundTruth {
  int image =
      0;  // in [0, images), in the order of the images' ids: it decides between equal scores
  int label = 0;  // in [0, categories)
  CocoBox box{};
  double area = 0;  // the annotation's, which decides the area range in both tasks
  bool crowd = false;
  MaskRle mask;
};

struct CocoDetection {
  int image = 0;
  int label = 0;
  double score = 0;
  CocoBox box{};
  MaskRle mask;  // its area is that of the box or of the mask, by the task
};

inline constexpr int kCocoOverlaps = 10;  // thresholds 0.50, 0.55, ..., 0.95
inline constexpr int kCocoRecalls = 101;  // 0, 0.01, ..., 1

// The precision at each of the recalls.
using CocoCurve = std::array<double, kCocoRecalls>;

// Fractions in 0..1, or -1 where there is nothing to find (no object that is not ignored), as
// pycocotools has it.
struct CocoScores {
  double ap = -1, ap50 = -1, ap75 = -1, ap_small = -1, ap_medium = -1, ap_large = -1;
  double ar1 = -1, ar10 = -1, ar100 = -1, ar_small = -1, ar_medium = -1, ar_large = -1;
  std::vector<double> category_ap;  // `ap` of each label
  // The precision-recall curves of each label at each overlap threshold, of all areas and 100
  // detections (pycocotools' eval['precision'][:, :, k, 0, 2]): 8 kB a label. -1 throughout where
  // there is nothing to find.
  std::vector<std::array<CocoCurve, kCocoOverlaps>> curves;

  // The twelve in pycocotools' order (`stats`), and their usual names.
  std::array<double, 12> stats() const {
    return {ap,  ap50, ap75,  ap_small, ap_medium, ap_large,
            ar1, ar10, ar100, ar_small, ar_medium, ar_large};
  }
  static constexpr std::array<const char*, 12> kNames = {
      "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"};
};

// The mean of the labels' curves at one overlap threshold, of those that have something to find;
// its mean is AP50 for overlap 0 and AP75 for overlap 5. -1 throughout when no label has.
CocoCurve mean_curve(const CocoScores& scores, int overlap);

// Scores `detections` against `ground_truth`, both in any order; among equal scores of one image
// the earlier detection goes first. The result has the same bits for any number of threads. Error
// (kInvalidArgument) on an image or label out of range, a score, area or box that is not finite;
// (kBadFormat, kMismatch) on a mask that is broken or not of the size of the others of its image.
CocoScores evaluate_coco(CocoTask task, int images, int categories,
                         std::span<const CocoGroundTruth> ground_truth,
                         std::span<const CocoDetection> detections, ThreadPool& pool);

}  // namespace asmlp
