// The segmentor that a command line names, with its test-time augmentation.
#pragma once

#include <string>

#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli_torch/dense_model.h"
#include "asmlp/torch/segment/predict.h"
#include "asmlp/torch/segment/segmentor_file.h"

namespace asmlp::cli {

struct LoadedSegmentor : LoadedDense<SegmentorSpec, segment::SegmentorNet> {
  segment::PredictOptions tta;
};

// load_dense_model of a segmentor. Error(kUnsupported) for one that takes no RGB images or has more
// than 255 classes; Error(kInvalidArgument) for --crop or --stride without --sliding.
LoadedSegmentor load_named_segmentor(const ModelOptions& options, int threads,
                                     const TtaOptions& tta);

// "one scale, whole image", "6 scales, mirrored, windows of 512 every 341": for people.
std::string describe(const segment::PredictOptions& tta);

}  // namespace asmlp::cli
