// What `asmlp bench --train` measures: training steps on the fused operators against the same steps
// as eager ATen operations, in one process, in turns.
#pragma once

#include <string>
#include <vector>

#include "asmlp/cli/bench/repetition.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

struct TrainBenchOptions {
  std::string model = "asmlp_tiny_patch4_shift5_224";  // zoo name, config file or JSON
  int batch = 8;
  int size = 0;  // side of the images in pixels; 0: the model's
  Repetition repetition{.runs = 20, .warmup = 2};
  std::vector<std::string> precisions{"fp32"};  // "fp32", "bf16"
  std::vector<std::string> paths{"fused", "eager"};
  bool profile = false;  // of the operators of the fused path
};

// A document of report/machine.h's measurement_document() whose rows, one per precision and way of
// computing, are explained in docs/results/speed.md. Nothing is timed before loss and gradients
// agree: Error(kMismatch) otherwise. Other errors: those of resolve_model and configure_runtime.
Json measure_training(const TrainBenchOptions& options);

}  // namespace asmlp::cli
