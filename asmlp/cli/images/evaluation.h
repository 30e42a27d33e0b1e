// Evaluation of a classifier on a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "asmlp/cli/draw/sheet.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/metrics/calibration.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/spec.h"

namespace asmlp::cli {

// Called with every image that was read: its name, its class, and the logits of the classes that
// predictions compete among.
using ImageObserver =
    std::function<void(const std::string& name, int target, std::span<const float> logits)>;

struct EvaluationOptions {
  int batch_size = 32;
  int64_t limit = 0;       // evaluate this many images, spread evenly; 0: all
  bool confusion = false;  // fill the confusion matrix
  bool sheet = false;      // keep images for the sheet (and fill the matrix)
  // The model's classes that predictions compete among, by their numbers; empty: all. Classes are
  // then counted by their places in this list.
  std::vector<int> valid = {};
  ImageObserver on_image = {};
};

struct Evaluation {
  struct Failure {
    std::string message;
    ErrorCode code;
  };
  TopKMeter meter;
  CalibrationMeter calibration;  // among the same classes
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
// `threads`, then the forward pass. `targets` are the classes of the data as the results count
// them. options.batch_size must not exceed the runner's max_batch.
Evaluation evaluate(const Dataset& dataset, const std::vector<int>& targets, const ModelSpec& spec,
                    Runner& runner, int threads, const EvaluationOptions& options,
                    const EvaluationObserver& observer);

}  // namespace asmlp::cli
