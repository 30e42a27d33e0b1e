// The scores of a segmentor over a data set.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "asmlp/metrics/segmentation.h"
#include "asmlp/torch/data/evaluate_loop.h"
#include "asmlp/torch/segment/predict.h"

namespace asmlp::segment {

// Percent, as metrics/segmentation.h defines them: of all pixels of all images together.
struct SegmentationEvaluation : data::Evaluated {
  double mean_iou = 0;                // mIoU; all three NaN when no pixel has a class
  double mean_accuracy = 0;           // mAcc
  double pixel_accuracy = 0;          // aAcc
  std::vector<double> iou, accuracy;  // per class; NaN for a class that does not occur
};

// Told of each image of this process: its index in the data set, its pixels, and the true and the
// predicted labels, H x W x 1.
using LabelsOf = std::function<void(int64_t index, const Image& image, const Image& truth,
                                    const Image& predicted)>;

// Predicts the images of `source`, a Loader over an AdeTestSource (ade_source.h) of any batch size
// (data::evaluate_batches), and compares them with their labels at their own resolution: every
// process its part, the result is of all parts together and the same everywhere (collective).
// Nothing when options.progress stopped it somewhere. The memory does not grow with the number of
// images. Error(kInvalidArgument) for a label that is not one of the net's classes.
std::optional<SegmentationEvaluation> evaluate(SegmentorNetImpl& net,
                                               const data::BatchSource& source,
                                               const DenseInput& input,
                                               const PredictOptions& predicting, dist::World& world,
                                               const data::EvaluateOptions& options = {},
                                               const LabelsOf& each = {});

}  // namespace asmlp::segment
