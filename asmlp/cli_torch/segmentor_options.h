// What the commands for segmentors share: which model, which views, and the model made ready.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/segment/predict.h"
#include "asmlp/torch/segment/segmentor_file.h"

namespace asmlp::cli {

struct SegmentorOptions {
  std::string model;       // a file; "": the bundled segmentor
  std::string arch;        // a segmentor of the zoo, for files that do not say
  std::string shift_size;  // likewise
  std::string class_map;   // one class name per line
  int threads = 0;
  segment::PredictOptions views;  // `sliding` from the next three
  bool sliding = false;
  std::optional<int> crop, stride;
};
// Error(kInvalidArgument) for --crop or --stride without --sliding comes from load_segmentor.
void add_segmentor_options(CLI::App& app, SegmentorOptions& options);

struct LoadedSegmentor {
  segment::SegmentorSpec spec;         // its classes are named when anything names them
  segment::SegmentorNet net{nullptr};  // ready for predict(), batch norms folded
  segment::PredictOptions views;
  std::filesystem::path file;
  bool bundled = false;
  int threads = 0;
  int64_t parameters = 0;  // with the auxiliary head, before folding
};

// Sets LibTorch's threads, loads what the options name and says on standard error when that is the
// bundled segmentor (cli/model_task.h). Errors: kUnsupported for one that takes no RGB images or
// has more than 255 classes, kMismatch for a class map of another length, those of bundled_model
// and of segment::load_segmentor.
LoadedSegmentor load_segmentor(const SegmentorOptions& options);

// "one scale, whole image", "6 scales, mirrored, windows of 512 every 341": for people.
std::string describe(const segment::PredictOptions& views);

}  // namespace asmlp::cli
