// The COCO scores of a detector over a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/metrics/coco_eval.h"
#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/detect/model/detector.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::detect {

struct CocoEvaluation {
  CocoScores box, mask;
  std::vector<CocoDetection> detections;  // of all images, by image and falling score
  int64_t images = 0;
  int64_t bad_samples = 0;  // images that could not be read: what is on them counts as missed
  double seconds = 0;
};

struct CocoEvaluationOptions {
  // Called after each batch with the images this process has done; returning false stops the
  // evaluation, in all processes.
  std::function<bool(int64_t images)> progress;
  std::function<void(const std::string& bad)> on_bad;  // each image that could not be read
};

// A detection as the evaluation has it: x, y, width, height; image `image` of the annotations.
CocoDetection to_coco(Detection detection, int image);

// Error(kMismatch) unless the network has as many classes as the annotations have categories; class
// k is category k.
void check_categories(const DetectorConfig& config, const CocoAnnotations& annotations);

// Detects on the images of `source`, in evaluation mode (and leaves the network in the mode it was
// in), and compares with all annotations: every process does its part, the result is of all parts
// together and the same everywhere, for any number of processes (collective). infos[i].index of the
// source's batches is the index into annotations.images; batches of one image are the reference
// (every image's padding is then its own). Nothing when `progress` stopped it somewhere. Errors:
// those of check_categories and coco_ground_truth.
std::optional<CocoEvaluation> evaluate(DetectorNetImpl& net, const CocoAnnotations& annotations,
                                       const data::BatchSource& source, dist::World& world,
                                       const CocoEvaluationOptions& options = {});

}  // namespace asmlp::detect
