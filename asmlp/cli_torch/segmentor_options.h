// What the commands for segmentors share: which model, which views, and the model made ready.
#pragma once

#include <optional>
#include <string>

#include "asmlp/cli_torch/dense_model.h"
#include "asmlp/torch/segment/predict.h"
#include "asmlp/torch/segment/segmentor_file.h"

namespace asmlp::cli {

struct SegmentorOptions : DenseModelOptions {
  segment::PredictOptions views;  // `sliding` from the next three
  bool sliding = false;
  std::optional<int> crop, stride;
};
// Error(kInvalidArgument) for --crop or --stride without --sliding comes from load_segmentor.
void add_segmentor_options(CLI::App& app, SegmentorOptions& options);

struct LoadedSegmentor : LoadedDense<SegmentorSpec, segment::SegmentorNet> {
  segment::PredictOptions views;
};

// load_dense_model of a segmentor, with the views. Error(kUnsupported) for one that takes no RGB
// images or has more than 255 classes.
LoadedSegmentor load_segmentor(const SegmentorOptions& options);

// "one scale, whole image", "6 scales, mirrored, windows of 512 every 341": for people.
std::string describe(const segment::PredictOptions& views);

}  // namespace asmlp::cli
