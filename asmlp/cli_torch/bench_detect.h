// What `asmlp bench --task detect` measures: the parts of a detection, with the backbone on the
// fused operators and as eager ATen operations, in one process, in turns.
#pragma once

#include <string>

#include "asmlp/cli_torch/bench_options.h"

namespace asmlp::cli {

struct DetectBenchOptions {
  std::string model = "mask_rcnn_asmlp_tiny";  // zoo name, JSON file or weights (.safetensors)
  int height = 800;  // of the image, which is padded as the model's are; 1..16384
  int width = 1088;
  Repetition repetition{.runs = 10, .warmup = 1};
};

// A document of report/machine.h's measurement_document() with a row for each way of computing the
// backbone, explained in docs/results/speed.md. A network that is not from a file has random
// weights, whose class scores are spread until there are as many detections as the model allows:
// what comes after the proposals has as much to do as with a trained network on a full image.
// Nothing is timed before both backbones agree: Error(kMismatch) otherwise; Error(kInvalidArgument)
// for a size outside its range.
Json measure_detection(const DetectBenchOptions& options);

}  // namespace asmlp::cli
