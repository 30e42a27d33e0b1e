// Evaluation of a classifier on a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/cli/draw/sheet.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/spec.h"

namespace asmlp::cli {

// For each class of the data set the model's class of the same name, when both have the same names
// in different order; else the identity. Error(kMismatch) naming both when the numbers of classes
// differ. `note` (may be null) receives a sentence about what was found.
std::vector<int> match_classes(const std::vector<std::string>& data,
                               const std::vector<std::string>& model, int model_classes,
                               std::string* note);

struct EvaluationOptions {
  int batch_size = 32;
  int64_t limit = 0;       // evaluate this many images, spread evenly; 0: all
  bool confusion = false;  // fill the confusion matrix
  bool sheet = false;      // keep images for the sheet (and fill the matrix)
};

struct Evaluation {
  struct Failure {
    std::string message;
    ErrorCode code;
  };
  TopKMeter meter;
  std::unique_ptr<ConfusionMatrix> confusion;
  std::vector<SheetItem> samples;   // spread evenly over the data
  std::vector<SheetItem> mistakes;  // most confident first
  std::vector<Failure> failures;    // images that could not be read; they do not count
};

// Called after every batch with the images done (readable or not) and the state so far; `fresh` are
// this batch's failures.
using EvaluationObserver = std::function<void(int64_t done, const Evaluation& state,
                                              const std::vector<Evaluation::Failure>& fresh)>;

// Images that an evaluation with this limit visits.
int64_t evaluated_images(const Dataset& dataset, int64_t limit);

// Runs the data through `runner`, a model with `spec`, in batches: decoding and preprocessing on
// `threads`, then the forward pass. `targets` is match_classes' answer. options.batch_size must not
// exceed the runner's max_batch.
Evaluation evaluate(const Dataset& dataset, const std::vector<int>& targets, const ModelSpec& spec,
                    Runner& runner, int threads, const EvaluationOptions& options,
                    const EvaluationObserver& observer);

}  // namespace asmlp::cli
