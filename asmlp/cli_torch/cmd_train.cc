// `asmlp train`: a recipe, a folder, and everything in between.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "asmlp/cli/console.h"
#include "asmlp/cli/table.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/recipe.h"
#include "asmlp/cli_torch/train_display.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/model/params.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFooter =
    "Examples:\n"
    "  asmlp train --config recipes/fashion_nano.yaml --output runs/nano\n"
    "  asmlp train --resume runs/nano/last.safetensors\n"
    "  asmlp train /data/imagenet --model asmlp_tiny_patch4_shift5_224 -b 64\n"
    "Ctrl-C finishes the step, saves last.safetensors and exits with code 130 (SIGTERM: 143).";

std::atomic<bool> stop_requested{false};
volatile std::sig_atomic_t stop_signal = 0;

// A second signal ends the process at once: the state on disk is whole at any moment.
extern "C" void request_stop(int signal) {
  stop_signal = signal;
  stop_requested.store(true);
  std::signal(signal, SIG_DFL);
}

struct TrainArguments {
  train::TrainOptions options;
  std::string config;
  std::string output;
  std::string experiment;
  std::string resume;
  std::string command;  // as typed
  std::optional<int64_t> max_steps;
  bool json = false;
};

// The command line as a shell takes it, under the name users call it by.
std::string command_text(std::span<const char* const> arguments) {
  std::string text = "asmlp";
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string word = arguments[i];
    const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
      return std::isalnum(c) || std::strchr("-_./=,:+@%", c);
    });
    std::string quoted;
    for (char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += ' ' + (plain ? word : "'" + quoted + "'");
  }
  return text;
}

// Where the run lives: --output[/--experiment], else the folder of the resumed file, else
// output/<model>.
fs::path run_folder(const TrainArguments& arguments, const std::string& model_name) {
  fs::path folder = arguments.output;
  if (folder.empty() && !arguments.resume.empty()) {
    require(arguments.experiment.empty(), ErrorCode::kInvalidArgument,
            "--experiment {}: is a subfolder of --output; give that too, or leave it out to go on "
            "beside {}",
            arguments.experiment, arguments.resume);
    folder = fs::path(arguments.resume).parent_path();
    return folder.empty() ? fs::path(".") : folder;
  }
  if (folder.empty()) folder = fs::path("output") / model_name;
  return arguments.experiment.empty() ? folder : folder / arguments.experiment;
}

// "/data/fashion-mnist/" -> "fashion-mnist".
std::string folder_name(const fs::path& data) {
  fs::path folder = fs::absolute(data).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return folder.filename().string();
}

// "/data/fashion-mnist" -> "fashion_mnist": the tag of the exported model's name.
std::string tag_of(const fs::path& data) {
  std::string tag = folder_name(data);
  for (char& c : tag) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return tag;
}

Json summary_json(const train::Trainer& trainer, const fs::path& folder, train::Outcome outcome,
                  double images_per_second) {
  const train::RunState& state = trainer.state();
  Json json{{"outcome", outcome == train::Outcome::kFinished ? "finished" : "stopped"},
            {"model", trainer.spec().name},
            {"output", folder.string()},
            {"epochs", state.epoch},
            {"steps", state.epoch * trainer.steps_per_epoch() + state.batch},
            {"skipped_steps", state.skipped},
            {"train_images_per_second", images_per_second}};
  if (state.best_epoch >= 0) {
    json["best_top1"] = state.best_top1;
    json["best_epoch"] = state.best_epoch;
  }
  if (!state.history.empty() && state.history.back().validated) {
    json["last_top1"] = state.history.back().eval_top1;
  }
  return json;
}

int run_train(TrainArguments& arguments, bool resume) {
  train::TrainOptions& options = arguments.options;
  train::validate(options);
  const std::string model_name = train::resolve_model(options, 0).name;
  const fs::path folder = run_folder(arguments, model_name.empty() ? "asmlp" : model_name);
  const fs::path state = resume && !arguments.resume.empty() ? fs::path(arguments.resume)
                                                             : folder / "last.safetensors";
  require(resume || !fs::exists(state), ErrorCode::kInvalidArgument,
          "{} holds a run already: continue it with --resume, or choose another --output",
          folder.string());

  const auto training = open_dataset(options.data, Split::kTrain);
  const auto validation = open_dataset(options.data, Split::kValidation);
  train::Trainer trainer(options, *training, *validation, folder, tag_of(options.data),
                         {{"command", arguments.command},
                          {"dataset", folder_name(options.data)},
                          {"source", "trained with asmlp " ASMLP_VERSION}});
  if (resume) trainer.resume(state);
  write_file_atomically(folder / "args.yaml",
                        [&](std::ostream& out) { out << recipe_text(options); });

  const ModelSpec& spec = trainer.spec();
  const int64_t first_step =
      trainer.state().epoch * trainer.steps_per_epoch() + trainer.state().batch;
  print_note(fmt::format(
      "{}: {} parameters, {} training and {} validation images of {} classes, {} epochs of {} "
      "steps, lr {:.3g}, {} threads; writing to {}",
      spec.name, group_digits(parameter_count(spec.config)), training->size(), validation->size(),
      training->classes().size(), options.epochs, trainer.steps_per_epoch(), options.peak_lr(),
      trainer.state().threads, folder.string()));
  if (resume) {
    print_note(fmt::format("resumed from {} at epoch {}, step {}", state.string(),
                           trainer.state().epoch + 1, trainer.state().batch));
  }

  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  TrainDisplay display(options.batch_size, options.log_interval, first_step);
  const train::Outcome outcome = trainer.run(display, &stop_requested, arguments.max_steps);
  display.close();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);

  if (arguments.json) {
    print_json(summary_json(trainer, folder, outcome, display.images_per_second()));
  }
  const train::RunState& end = trainer.state();
  if (outcome == train::Outcome::kStopped) {
    print_note(fmt::format("stopped at epoch {}, step {}; continue with: asmlp train --resume {}",
                           end.epoch + 1, end.batch, trainer.state_path().string()));
    return stop_requested ? 128 + stop_signal : kExitOk;
  }
  print_note(fmt::format("finished: best Acc@1 {:.3f} (epoch {}) in {}, last Acc@1 {:.3f} in {}",
                         end.best_top1, end.best_epoch + 1, (folder / "best.safetensors").string(),
                         end.history.back().eval_top1, (folder / "final.safetensors").string()));
  return kExitOk;
}

}  // namespace

Command add_torch_train(CLI::App& program, std::span<const char* const> raw) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* app = add_subcommand(program, "train", "Train a model", kFooter);
  arguments->command = command_text(raw);
  const bool chosen = raw.size() > 1 && std::string(raw[1]) == "train";
  const auto config = chosen ? raw_option(raw, "--config") : std::nullopt;
  const auto resume = chosen ? raw_option(raw, "--resume") : std::nullopt;
  if (config && !config->empty()) {
    arguments->options = load_recipe(*config);
  } else if (resume) {
    fs::path state = *resume;
    if (state.empty()) {
      const auto output = raw_option(raw, "--output"), name = raw_option(raw, "--experiment");
      if (output) state = fs::path(*output) / name.value_or("") / "last.safetensors";
    }
    if (!state.empty()) arguments->options = train::read_state(state, nullptr).options;
  }

  const char* group = "Run";
  app->add_option("--config", arguments->config,
                  "Recipe: a YAML file with these options; the command line overrides it")
      ->group(group);
  app->add_option("--output", arguments->output, "Folder of the run (default: output/<model>)")
      ->group(group);
  app->add_option("--experiment", arguments->experiment, "Subfolder of --output")->group(group);
  CLI::Option* resume_option =
      app->add_option("--resume", arguments->resume,
                      "Continue a run from this file (default: last.safetensors of --output); the "
                      "options are the run's own unless --config is given")
          ->expected(0, 1)
          ->group(group);
  app->add_option_function<int64_t>(
         "--max-steps", [arguments](const int64_t& value) { arguments->max_steps = value; },
         "Stop after this many steps of the whole run, as Ctrl-C would")
      ->group(group);
  app->add_flag("--json", arguments->json, "Print the outcome as JSON on standard output")
      ->group(group);
  add_recipe_options(*app, arguments->options);
  return {app,
          [arguments, resume_option] { return run_train(*arguments, resume_option->count() > 0); }};
}

}  // namespace asmlp::cli
