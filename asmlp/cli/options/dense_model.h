// The detector or segmentor that a command line names: what is the same for both, and for any
// backend.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/cli/options/options.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp::cli {

// --img-size: N or SHORT,LONG instead of the sides of the model's own input; "" changes nothing.
// Error(kInvalidArgument) for other text, or a long side below the short one.
void add_input_size_option(CLI::App& app, std::string& size);
void set_input_size(DenseInput& input, const std::string& size);

// A model as its file has it. `Spec` is DetectorSpec or SegmentorSpec.
template <typename Spec>
struct NamedModel {
  Spec spec;          // its classes are named when anything names them
  TensorMap tensors;  // exactly the network's (model/params.h), finite
  std::filesystem::path file;
  bool bundled = false;    // found by itself, not named by the user
  int64_t parameters = 0;  // trained ones
};
using NamedDetector = NamedModel<DetectorSpec>;
using NamedSegmentor = NamedModel<SegmentorSpec>;

// Loads what the options name (--model, --weights, --config, --shift-size, --class-map), else the
// bundled model of the task; notes on standard error say which and what was assumed. Errors: those
// of read_weights, weights/dense_file.h, require_finite, and name_classes; kMismatch for the
// weights of another task, naming the command for them; kUnsupported for a network whose input no
// image file has, or a segmentor of more classes than label maps hold.
NamedDetector load_named_detector(const ModelOptions& options);
NamedSegmentor load_named_segmentor(const ModelOptions& options);

}  // namespace asmlp::cli
