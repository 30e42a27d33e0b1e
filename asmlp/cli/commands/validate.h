// asmlp validate: what the tasks share of it.
#pragma once

#include <functional>
#include <string>

#include "asmlp/cli/dense/tile_options.h"
#include "asmlp/cli/images/evaluation.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/options/torch_program.h"
#include "asmlp/cli/options/tta_options.h"

namespace asmlp::cli {

struct ValidateOptions {
  std::string data;
  std::string split;  // as the user names it (dataset/split.h); "" is the validation split
  TaskOption task;
  ModelOptions model;
  ImageOptions image;
  std::string backend;
  RunOptions run;
  ResultsOptions results;
  OutputOptions output;
  // Classifiers
  PreprocessingOptions preprocessing;
  EvaluationOptions evaluation;
  std::string sheet;
  std::string valid_labels;  // a list of classes
  // Of every image, as CSV: what was found
  std::string predictions;
  // Detectors and segmentors
  int workers = 2;  // threads that read images ahead
  // Detectors
  std::string images, annotations;  // instead of `data`
  bool per_class = false;
  std::string coco_results;
  TileRequest tiles;
  // Segmentors
  TtaOptions tta;
};

// What measures a model of each task in this program, and returns the exit code.
struct Validators {
  using Run = std::function<int(const ValidateOptions& options)>;
  std::string backend;  // the name that --backend has for it
  Run classify, detect, segment;
};

// The native engine; a command line that names the other backend is handed over to asmlp-torch.
Validators native_validators(Arguments arguments);

// A model of each task on a backend.
int validate_classifier(const ValidateOptions& options, const Backend& backend);
int validate_detector(const ValidateOptions& options, const DenseBackend& backend);
int validate_segmentor(const ValidateOptions& options, const DenseBackend& backend);

}  // namespace asmlp::cli
