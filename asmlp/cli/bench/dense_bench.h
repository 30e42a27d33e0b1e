// What `asmlp bench` measures of detectors and segmentors: the time of every part, on one or more
// backends in turn.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "asmlp/cli/bench/repetition.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/model/task.h"

namespace asmlp::cli {

struct DenseBenchOptions {
  Task task = Task::kDetect;
  // Zoo names and configs (.json, .yaml), which get deterministic weights, or weight files; empty:
  // mask_rcnn_asmlp_tiny or upernet_asmlp_tiny.
  std::vector<std::string> models;
  std::vector<int> batches{1};  // images per run, of detectors
  int height = 0;  // of the resized image; 0: the model's short side by four thirds of it, padded
  int width = 0;
  std::vector<std::string> precisions;  // of the native engine; empty: fp32, or the model's int8
  std::vector<std::string> isas;        // of the native engine; empty: the default one
  Repetition repetition{.runs = 10, .warmup = 1};
};

// A document of report/machine.h's measurement_document() with a row for each model, batch,
// precision, and ISA, and one for LibTorch where it is among the backends; docs/results/speed.md
// explains the keys. All rows of a model and batch are timed in turn. A detector with deterministic
// weights gets its class scores spread until there are as many detections as the model allows: what
// comes after the proposals has as much to do as with a trained network on a full image. Nothing is
// timed before a row agrees with the portable fp32 kernels (Error(kMismatch)). Error(
// kInvalidArgument) for a size outside of 1..16384; those of the models.
Json measure_dense(const DenseBenchOptions& options, std::span<const DenseBackend> backends);

// A table of the rows, and one of the parts of each.
std::string dense_bench_text(const Json& document, bool markdown);

}  // namespace asmlp::cli
