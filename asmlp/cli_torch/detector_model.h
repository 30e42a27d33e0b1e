// The detector that a command line names.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "asmlp/torch/detect/detector_file.h"

namespace asmlp::cli {

struct DetectorOptions {
  std::string model;       // a file
  std::string arch;        // zoo name or JSON file, for the authors' files
  std::string shift_size;  // "5" or "5,7", for those too
  int threads = 0;         // 0: all usable cores
};
// --model, --arch, --shift-size, --threads.
void add_detector_options(CLI::App& app, DetectorOptions& options);

// The architecture that `name` gives: of the zoo, or described by a JSON file. Errors as
// zoo_detector and detector_from_json.
detect::DetectorSpec named_detector(const std::string& name);

struct LoadedDetector {
  detect::DetectorSpec spec;         // 80 classes without names have COCO's
  detect::DetectorNet net{nullptr};  // its batch norms are folded: not to be saved
  std::filesystem::path file;
  bool bundled = false;
  int threads = 0;         // as they were set
  int64_t parameters = 0;  // before folding
};

// Loads --model or the bundled detector, which a note on standard error names, and sets the number
// of threads. Errors: load_detector's, bundled_model's, and kUnsupported for a network whose input
// no image file has.
LoadedDetector load_named_detector(const DetectorOptions& options);

}  // namespace asmlp::cli
