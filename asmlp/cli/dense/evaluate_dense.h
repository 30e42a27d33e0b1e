// The scores of a detector or segmentor over a data set, on any backend.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/dataset/coco/coco_set.h"
#include "asmlp/metrics/coco_eval.h"
#include "asmlp/metrics/segmentation.h"

namespace asmlp::cli {

struct EvaluateSettings {
  int workers = 2;  // threads that read images ahead
  // Called after each image, with the images done so far and those that could not be read.
  std::function<void(int64_t images, int64_t bad)> progress = {};
  std::function<void(const std::string& why)> on_bad = {};
};

// Images that could not be read count as `bad`: they are not among the `images`.
struct Evaluated {
  int64_t images = 0;
  int64_t bad = 0;
  double seconds = 0;  // of wall-clock time, the scoring included
};

// What is on images that could not be read counts as missed.
struct DetectorEvaluation : Evaluated {
  CocoScores box;
  // Of the objects that have an outline; nothing where none has one, or of a detector of boxes.
  std::optional<CocoScores> mask;
  std::vector<CocoDetection> detections;  // of all images, by image and falling score
  int64_t stored = 0;                     // images that were not turned (read_coco_image)
};

// Detects on the images of `set`, one after the other, and compares with all its annotations, whose
// categories are the detector's classes. `detect_one` is given the pixels, RGB. Errors: those of
// `detect_one`, coco_ground_truth, and evaluate_coco.
using DetectOne = std::function<std::vector<detect::Detection>(const Image& image)>;
DetectorEvaluation evaluate_detector(const CocoSet& set, const DecodeOptions& decoding,
                                     DetectorKind kind, int threads, const DetectOne& detect_one,
                                     const EvaluateSettings& settings);

struct SegmentorEvaluation : Evaluated {
  SegmentationMeter meter;  // of all pixels of all images together
};

// Told of each image: its index in the data set, and the true and the predicted labels, H x W x 1.
using LabelsOf = std::function<void(int64_t index, const Image& truth, const Image& predicted)>;

// Labels the images of `data`, one after the other, and compares with their labels, which
// `places` brings to the model's `classes` (relabel). Errors: those of `segment_one`;
// Error(kInvalidArgument) for a label that is no class of the model.
using SegmentOne = std::function<Image(const Image& image)>;
SegmentorEvaluation evaluate_segmentor(const Ade20k& data, std::span<const int> places, int classes,
                                       const SegmentOne& segment_one,
                                       const EvaluateSettings& settings, const LabelsOf& each = {});

}  // namespace asmlp::cli
