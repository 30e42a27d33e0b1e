// The detector that a command line names.
#pragma once

#include "asmlp/cli_torch/dense_model.h"
#include "asmlp/torch/detect/model/detector_file.h"

namespace asmlp::cli {

using LoadedDetector = LoadedDense<DetectorSpec, detect::DetectorNet>;

// load_dense_model of a detector. Error(kUnsupported) for a network whose input no image file has.
LoadedDetector load_named_detector(const ModelOptions& options, int threads);

}  // namespace asmlp::cli
