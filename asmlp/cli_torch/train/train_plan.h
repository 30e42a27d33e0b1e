// What a command line of `asmlp train` means: recipe, run that goes on, model file, and defaults
// brought together into the options of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "asmlp/cli/options/task_option.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/train/options.h"
#include "asmlp/torch/train/state.h"

namespace asmlp::cli {

struct TrainArguments {
  TaskOption task;
  train::TrainOptions options;  // without those of the command line until plan_run
  nlohmann::json given = nlohmann::json::object();  // the command line's, by name
  std::string config;
  std::string output;
  std::string experiment;
  bool resumes = false;                // --resume is there
  std::string resume;                  // its file or folder; "" for that of --output
  std::span<const char* const> words;  // as typed
  std::string command;                 // the same as text
  std::optional<int64_t> max_steps;
  bool auto_resume = false;
  bool extend = false;
  bool json = false;
};

// Where the run lives: --output[/--experiment], else the folder of the resumed file, else
// output/<model>.
std::filesystem::path run_folder(const TrainArguments& arguments, const std::string& model_name);

// Completes arguments.options: of the resumed run, of the recipe, or of the task (which is found by
// the model or the data, and said), with those of the command line over them. A recipe's schedule
// is fitted to --epochs (refit_schedule), a weights file as the model is taken apart
// (take_weight_file). A folder as --resume becomes its last.safetensors. Returns the state that the
// run goes on from, where there is one that can be read. Errors say what to do.
std::optional<train::RunState> plan_run(TrainArguments& arguments);

// In a run that goes on: divides its global batch over this world's processes unless the command
// line says how (keep_global_batch), the same way in all of them (collective).
void divide_batch(TrainArguments& arguments, const std::optional<train::RunState>& saved,
                  dist::World& world);

}  // namespace asmlp::cli
