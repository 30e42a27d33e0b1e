// What `asmlp bench --train` measures of detectors and segmentors: the parts of a training step.
#pragma once

#include <string>
#include <vector>

#include "asmlp/cli/bench/repetition.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

struct DenseTrainBenchOptions {
  Task task = Task::kDetect;  // or kSegment
  std::string model;          // zoo name, config file, or file of weights; "": the task's default
  int batch = 2;
  int height = 0, width = 0;  // of the images in pixels; 0: the model's, as `bench --task` has it
  Repetition repetition{.runs = 10, .warmup = 2};
  std::vector<std::string> precisions{"fp32"};  // "fp32", "bf16"
};

// A document of report/machine.h's measurement_document() with one row per precision: milliseconds
// of the step, of its parts in their order, and of the processor. Images, objects, and labels are
// random; there are four objects per image. The backward pass is divided where the gradients of a
// part's results arrive. Errors: those of ModelChoice::resolve and configure_runtime.
Json measure_dense_training(const DenseTrainBenchOptions& options);

}  // namespace asmlp::cli
