// asmlp validate: what the tasks share of it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "asmlp/cli/images/evaluation.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/options/torch_program.h"
#include "asmlp/dataset/dataset.h"

namespace asmlp::cli {

// Test-time augmentation of segmentors, as it is said on a command line.
struct TtaOptions {
  bool multi_scale = false;
  bool flip = false;
  bool sliding = false;
  std::optional<int> crop, stride;  // of --sliding
  bool full_size = false;
};
// `wrap` puts each option into its part of the help.
void add_tta_options(CLI::App& app, TtaOptions& options,
                     const std::function<CLI::Option*(CLI::Option*)>& wrap);

struct ValidateOptions {
  std::string data;
  std::string split = "validation";
  TaskOption task;
  ModelOptions model;
  std::string backend;
  RunOptions run;
  ResultsOptions results;
  OutputOptions output;
  // Classifiers
  PreprocessingOptions preprocessing;
  EvaluationOptions evaluation;
  std::string sheet;
  // Detectors and segmentors
  int workers = 2;  // threads that read images ahead
  // Detectors
  std::string images, annotations;  // instead of `data`
  bool per_class = false;
  std::string coco_results;
  // Segmentors
  TtaOptions tta;

  Split part() const { return split == "train" ? Split::kTrain : Split::kValidation; }
};

// What measures a model of each task in this program, and returns the exit code.
struct Validators {
  using Run = std::function<int(const ValidateOptions& options)>;
  std::string backend;  // the name that --backend has for it
  Run classify, detect, segment;
};

// The native engine for classifiers; everything else is handed over to asmlp-torch.
Validators native_validators(Arguments arguments);

// A classifier on `backend`.
int validate_classifier(const ValidateOptions& options, const Backend& backend);

}  // namespace asmlp::cli
