// Test-time augmentation of segmentors, as it is said on a command line.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

#include "asmlp/segmentation/predict.h"

namespace asmlp::cli {

struct TtaOptions {
  bool multi_scale = false;
  bool flip = false;
  bool sliding = false;
  std::optional<int> crop, stride;  // of --sliding
  bool full_size = false;
};
// `wrap` puts each option into its part of the help.
void add_tta_options(CLI::App& app, TtaOptions& options,
                     const std::function<CLI::Option*(CLI::Option*)>& wrap);

// What they mean. Error(kInvalidArgument) for --crop or --stride without --sliding, or a stride
// above the crop.
segment::PredictOptions predict_options(const TtaOptions& options);

// "one scale, whole image", "6 scales, mirrored, windows of 512 every 341": for people.
std::string views_text(const segment::PredictOptions& predicting);

}  // namespace asmlp::cli
