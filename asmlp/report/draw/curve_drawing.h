// Precision-recall curves as a picture.
#pragma once

#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/metrics/coco_eval.h"

namespace asmlp {

// The curves of one kind of overlap.
struct CurvePanel {
  std::string title;  // "Boxes"
  CocoScores scores;
};

// How many classes have a curve of their own.
inline constexpr int kCurveClasses = 10;

// A row for each panel: on the left the means over the classes at IoU 0.50, 0.75 and of all ten
// thresholds, on the right the classes at IoU 0.50 in the colors of class_color: those with
// objects, and of more than kCurveClasses the ones with the lowest AP. The legends give the area
// below each curve, which is its AP, and classes come by it. Error(kInvalidArgument) without
// panels.
Image precision_recall_picture(const std::vector<CurvePanel>& panels,
                               const std::vector<std::string>& classes);

}  // namespace asmlp
