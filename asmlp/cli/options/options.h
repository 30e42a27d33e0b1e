// Options that several subcommands share, and what they lead to.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/core/cpu.h"
#include "asmlp/engine/engine.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp::cli {

// Which weights, and how to understand them.
struct ModelOptions {
  std::string model;       // a file, or a name of the zoo
  std::string weights;     // a file; --model NAME or --config then gives the architecture
  std::string config;      // JSON or YAML, or a name of the zoo
  std::string class_map;   // one class name per line
  std::string shift_size;  // "5" or "5,7"
};
void add_model_options(CLI::App& app, ModelOptions& options);
// --class-map, for the commands that print class names.
void add_class_map_option(CLI::App& app, ModelOptions& options);

// Preprocessing that the user wants instead of the model's own.
struct PreprocessingOptions {
  std::optional<int> img_size;
  std::optional<double> crop_pct;
  std::string interpolation;
};
std::vector<CLI::Option*> add_preprocessing_options(CLI::App& app, PreprocessingOptions& options);

// How to run.
struct RunOptions {
  int threads = 0;
  std::string isa = {};        // parse_isa
  std::string precision = {};  // parse_precision; "": fp32, or int8 for a quantized model
};
// The precision to compute the model called `name` in. Error(kUnsupported) where what was asked for
// does not fit its tensors (usable_precision; fp32 of quantized ones neither).
Precision precision_of(const RunOptions& options, const TensorMap& tensors,
                       const std::string& name);
void add_run_options(CLI::App& app, RunOptions& options);

// --json and --verbose.
struct OutputOptions {
  bool json = false;
};
void add_output_options(CLI::App& app, OutputOptions& options);

// --results-file and --results-format.
struct ResultsOptions {
  std::string file;
  std::string format;  // "csv", "json" or "" (by the file's extension)
};
void add_results_options(CLI::App& app, ResultsOptions& options);
// Writes the one of the two that was asked for, atomically; nothing without --results-file.
void write_results(const ResultsOptions& options, const std::string& csv, const std::string& json);

// What a command writes beside the result that it prints. Each file is tried; the result is printed
// whatever becomes of them, then what failed is told, and the exit code is 1.
class SideOutputs {
 public:
  // Runs `write`; an Error (but kInterrupted) is kept.
  void add(const std::function<void()>& write);
  // Prints what failed; `code`, or kExitFailed when something did.
  int finish(int code) const;

 private:
  std::vector<std::string> failures_;
};

// check_output of the file, and Error(kInvalidArgument) when nothing says in which format.
void check_results(const ResultsOptions& options);

// Error(kNotFound / kIo) when `path` cannot be written because its folder is missing or closed:
// said before the work, not after it. Nothing for "".
void check_output(const std::string& path);

// Error(kInvalidArgument) when both name the same file, which would be lost.
void check_not_overwritten(const std::filesystem::path& input, const std::filesystem::path& output);

struct LoadedModel {
  Checkpoint checkpoint;
  std::filesystem::path file;
  bool bundled = false;            // found by itself, not named by the user
  std::vector<std::string> notes;  // what had to be assumed
};

// Loads what the options name: --weights (with --model NAME or --config), --model FILE, else the
// bundled model (bundled_model.h). Errors: kNotFound (with the nearest zoo name), kInvalidArgument
// for options that exclude each other, and load_checkpoint's.
LoadedModel load_model(const ModelOptions& options);

// load_model for a command that classifies: says on standard error what was assumed and which model
// was chosen, applies the preprocessing options. Error(kUnsupported) for a model without head or
// with channels that no image file has.
LoadedModel load_classifier(const ModelOptions& options, const PreprocessingOptions& preprocessing);

// "5" or "5,7" (h,w) to a ShiftSize; Error(kInvalidArgument) otherwise.
ShiftSize parse_shift_size(const std::string& text);

}  // namespace asmlp::cli
