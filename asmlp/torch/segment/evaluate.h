// The scores of a segmentor over a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/segment/predict.h"

namespace asmlp::segment {

// Percent, as metrics/segmentation.h defines them: of all pixels of all images together.
struct SegmentationEvaluation {
  double mean_iou = 0;                // mIoU
  double mean_accuracy = 0;           // mAcc
  double pixel_accuracy = 0;          // aAcc
  std::vector<double> iou, accuracy;  // per class; NaN for a class that does not occur
  int64_t images = 0;
  int64_t bad_samples = 0;  // that could not be read: not among the images
  double seconds = 0;
};

struct SegmentationEvaluationOptions {
  PredictOptions predict = {};
  // Called after each batch with the images this process has done; returning false stops the
  // evaluation, in all processes.
  std::function<bool(int64_t images)> progress = {};
  std::function<void(const std::string& bad)> on_bad = {};  // each image that could not be read
};

// Predicts the pictures of `source`, an ItemLoader over an AdeTestSource (ade_source.h) of any
// batch size, in evaluation mode (and leaves the net in the mode it was in), and compares them with
// their labels at their own resolution: every process its part, the result is of all parts together
// and the same everywhere (collective). Nothing when `progress` stopped it somewhere. The memory
// does not grow with the number of images. Error(kInvalidArgument) for a label that is not one of
// the net's classes.
std::optional<SegmentationEvaluation> evaluate(SegmentorNetImpl& net,
                                               const data::BatchSource& source,
                                               const DenseInput& input, dist::World& world,
                                               const SegmentationEvaluationOptions& options = {});

}  // namespace asmlp::segment
