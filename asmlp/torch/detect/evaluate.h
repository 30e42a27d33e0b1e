// The COCO scores of a detector over a data set.
#pragma once

#include <optional>
#include <vector>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/detection/coco_detection.h"
#include "asmlp/metrics/coco_eval.h"
#include "asmlp/torch/data/evaluate_loop.h"
#include "asmlp/torch/detect/model/detector.h"

namespace asmlp::detect {

// The bad samples are images that could not be read: what is on them counts as missed. The seconds
// are those of the scoring, too.
struct CocoEvaluation : data::Evaluated {
  CocoScores box;
  // Of the objects that have an outline; nothing where none has one, or of a detector of boxes.
  std::optional<CocoScores> mask;
  std::vector<CocoDetection> detections;  // of all images, by image and falling score
};

// Error(kMismatch) unless the network has as many classes as the annotations have categories; class
// k is category k.
void check_categories(const DetectorConfig& config, const CocoAnnotations& annotations);

// Detects on the images of `source` (data::evaluate_batches) and compares with all annotations:
// every process does its part, the result is of all parts together and the same everywhere, for any
// number of processes (collective). infos[i].index of the source's batches is the index into
// annotations.images; batches of one image are the reference (every image's padding is then its
// own). Nothing when options.progress stopped it somewhere. Errors: those of check_categories and
// coco_ground_truth.
std::optional<CocoEvaluation> evaluate(DetectorNetImpl& net, const CocoAnnotations& annotations,
                                       const data::BatchSource& source, dist::World& world,
                                       const data::EvaluateOptions& options = {});

}  // namespace asmlp::detect
