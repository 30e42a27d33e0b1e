// `asmlp train`: a recipe, a folder, and everything in between.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/launch.h"
#include "asmlp/cli_torch/recipe.h"
#include "asmlp/cli_torch/train_display.h"
#include "asmlp/cli_torch/train_summary.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/layout.h"
#include "asmlp/report/table.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/distributed/connect.h"
#include "asmlp/torch/train/device.h"
#include "asmlp/torch/train/tasks/make_task.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrainFooter =
    "Examples:\n"
    "  asmlp train --config recipes/fashion_nano.yaml --output runs/nano\n"
    "  asmlp train --resume runs/nano/last.safetensors\n"
    "  asmlp train /data/imagenet --model asmlp_tiny_patch4_shift5_224 -b 64\n"
    "  asmlp train --config recipes/imagenet_tiny.yaml --output runs/tiny --auto-resume\n"
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
  TaskOption task;
  train::TrainOptions options;  // without those of the command line until run_train
  nlohmann::json given = nlohmann::json::object();  // the command line's, by name
  std::string config;
  std::string output;
  std::string experiment;
  std::string resume;
  std::span<const char* const> words;  // as typed
  std::string command;                 // the same as text
  int nproc = 1;
  std::optional<int64_t> max_steps;
  bool auto_resume = false;
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

// The folder that the data is called after.
fs::path data_folder(const train::TrainOptions& options) {
  return options.model.data.empty() ? options.coco.train_images : options.model.data;
}

// "/data/fashion-mnist" -> "fashion_mnist": the tag of the exported model's name.
std::string tag_of(const fs::path& data) {
  std::string tag = folder_name(data);
  for (char& c : tag) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return tag;
}

// "asmlp_nano.fashion_mnist" -> "asmlp_nano".
std::string model_of(const std::string& name) { return name.substr(0, name.find('.')); }

// What the user reads before the first step.
void announce(const train::Trainer& trainer, const fs::path& folder, bool resumed) {
  const train::TrainOptions& options = trainer.options();
  const train::RunState& state = trainer.state();
  const train::TaskFacts& facts = trainer.facts();
  std::string machine = fmt::format("{} threads", state.threads);
  if (state.world > 1) machine = fmt::format("{} processes of {}", state.world, machine);
  if (trainer.device().is_cuda()) machine += " on " + trainer.device().str();
  if (options.run.amp != train::Amp::kOff) {
    machine += fmt::format(", {}", name_of(options.run.amp));
  }
  print_note(fmt::format(
      "{}: {} parameters, {} training and {} validation images of {} classes, {} epochs of {} "
      "steps of {} images, lr {:.3g}, {}; writing to {}",
      facts.model, group_digits(trainer.parameters()), facts.training_images,
      facts.validation_images, facts.classes.size(), options.schedule.epochs,
      trainer.steps_per_epoch(), trainer.global_batch(), options.learning_rates(state.world).peak,
      machine, folder.string()));
  if (resumed) {
    print_note(fmt::format("resumed from {} at epoch {}, step {}", trainer.resumed_from().string(),
                           state.epoch + 1, trainer.step_in_epoch()));
  }
}

// Continues a run, as the arguments say, or starts one. True when it continues.
bool begin(train::Trainer& trainer, const TrainArguments& arguments, const fs::path& state,
           bool resume) {
  if (resume) {
    trainer.resume(state);
  } else if (!arguments.auto_resume || !trainer.resume_automatically()) {
    for (const std::string& note : trainer.load_initial_weights()) print_note(note);
    return false;
  }
  return true;
}

// The run of this process, which is one of the world's; rank 0 speaks and writes for all.
int run_in(dist::World& world, const TrainArguments& arguments, bool resume) {
  const train::TrainOptions& options = arguments.options;
  std::unique_ptr<train::TrainingTask> task =
      train::make_task(options, tag_of(data_folder(options)), world);
  const std::string model_name = model_of(task->facts().model);
  const fs::path folder = run_folder(arguments, model_name);
  const fs::path state = resume && !arguments.resume.empty() ? fs::path(arguments.resume)
                                                             : folder / "last.safetensors";
  const bool speaks = world.rank() == 0;
  require(resume || arguments.auto_resume || !speaks || !fs::exists(state),
          ErrorCode::kInvalidArgument,
          "{} holds a run already: continue it with --resume or --auto-resume, or choose another "
          "--output",
          folder.string());

  train::Trainer trainer(options, std::move(task), folder,
                         {{"command", arguments.command},
                          {"dataset", folder_name(data_folder(options))},
                          {"source", "trained with asmlp " ASMLP_VERSION}},
                         world);
  const bool resumed = begin(trainer, arguments, state, resume);
  train::Observers observers;
  TrainDisplay display(options.run.log_interval, trainer.steps());
  std::optional<train::RunLog> log;
  if (speaks) {
    write_file_atomically(folder / "args.yaml",
                          [&](std::ostream& out) { out << recipe_text(options); });
    announce(trainer, folder, resumed);
    log.emplace(folder, run_facts(trainer, arguments.command, resumed));
    observers.add(display);
    observers.add(*log);
  }

  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  const train::Outcome outcome = trainer.run(observers, &stop_requested, arguments.max_steps);
  display.close();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);

  const bool finished = outcome == train::Outcome::kFinished;
  const int code = !finished && stop_requested ? 128 + stop_signal : kExitOk;
  if (!speaks) return code;
  const Json summary = summary_json(trainer, folder, outcome, display.images_per_second());
  log->close(finished ? "finished" : "stopped", summary);
  if (arguments.json) print_json(summary);
  const train::RunState& end = trainer.state();
  if (!finished) {
    print_note(fmt::format("stopped at epoch {}, step {}; continue with: asmlp train --resume {}",
                           end.epoch + 1, trainer.step_in_epoch(), trainer.state_path().string()));
    return code;
  }
  const std::string& main = trainer.facts().eval_metric;
  const double last = value_of(end.history.back().metrics, main);
  print_note(fmt::format("finished: best {0} {1} (epoch {2}) in {3}, last {0} {4} in {5}",
                         eval_metric_info(main).label, eval_metric_text({main, end.best}),
                         end.best_epoch + 1, (folder / "best.safetensors").string(),
                         eval_metric_text({main, last}), (folder / "final.safetensors").string()));
  return code;
}

// The other processes of the run, when whoever started this one says that there are some.
std::unique_ptr<dist::World> join_world(const train::TrainOptions& options) {
  const std::optional<dist::Rendezvous> rendezvous = dist::rendezvous_from_environment();
  if (!rendezvous) return dist::single_world();
  dist::ConnectOptions connecting;
  const torch::Device device = train::resolve_device(options.run.device, rendezvous->local_rank);
  if (device.is_cuda()) connecting.transport = dist::Transport::kNccl;
  // The main thread hangs in a collective then. What is on disk is whole at any moment.
  connecting.watch.on_lost = [](const dist::PeerLost& lost) {
    print_error(lost.what());
    ::_exit(kExitFailed);
  };
  return dist::connect(*rendezvous, connecting);
}

// The state that --resume names, or that of the run in --output; "" when there is neither.
fs::path resumed_state(const TrainArguments& arguments) {
  if (!arguments.resume.empty()) return arguments.resume;
  if (arguments.output.empty()) return {};
  return fs::path(arguments.output) / arguments.experiment / "last.safetensors";
}

// What the command line's options are laid over: the recipe's, the resumed run's, or the defaults
// of the task, which is then found and said.
train::TrainOptions base_options(const TrainArguments& arguments, bool resume) {
  const std::string data = arguments.given.value("data", "");
  if (!arguments.config.empty()) {
    train::TrainOptions recipe = load_recipe(arguments.config);
    const std::string& folder = data.empty() ? recipe.model.data : data;
    const auto layout = task_of_layout(folder);
    require(arguments.task.wanted || !layout || *layout == recipe.model.task, ErrorCode::kMismatch,
            "{}: is laid out for {}s, {} is a recipe for {}s; take another recipe, or insist with "
            "--task {}",
            folder, layout ? model_kind(*layout) : "", arguments.config,
            model_kind(recipe.model.task), to_string(recipe.model.task));
    return recipe;
  }
  if (resume) {
    const fs::path state = resumed_state(arguments);
    if (!state.empty()) return train::read_state(state, nullptr).options;
  }
  const auto model = arguments.given.find("model");
  const TaskEvidence evidence{.model = model != arguments.given.end() && model->is_string()
                                           ? model->get<std::string>()
                                           : "",
                              .data = data};
  TaskDecision decision = find_task(arguments.task, evidence);
  if (!arguments.task.wanted && arguments.given.contains("train-annotations")) {
    decision = {Task::kDetect, "--train-annotations is given"};
  }
  if (decision.task != Task::kClassify && !decision.reason.empty() && !is_launched_worker()) {
    print_note(fmt::format("task: {} ({})", to_string(decision.task), decision.reason));
  }
  return train::default_options(decision.task);
}

int run_train(TrainArguments& arguments, bool resume) {
  arguments.options = base_options(arguments, resume);
  if (arguments.task.wanted) arguments.given["task"] = to_string(*arguments.task.wanted);
  train::read_options(arguments.given, "command line", arguments.options);
  const train::TrainOptions& options = arguments.options;
  train::validate(options);
  if (arguments.nproc > 1 && !is_launched_worker()) {
    const std::optional<dist::Rendezvous> already = dist::rendezvous_from_environment();
    require(!already, ErrorCode::kInvalidArgument,
            "--nproc {}: {} has started this process as one of several already; leave --nproc out",
            arguments.nproc, already ? already->source : "");
    return launch_workers(arguments.nproc, arguments.words);
  }
  const std::unique_ptr<dist::World> world = join_world(options);
  return run_in(*world, arguments, resume);
}

}  // namespace

Command add_train(CLI::App& program, Arguments raw) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* app = add_subcommand(program, "train", "Train a model", kTrainFooter);
  arguments->words = raw;
  arguments->command = command_text(raw);
  add_task_option(*app, arguments->task);
  const char* group = "Run";
  app->add_option("--config", arguments->config,
                  "Recipe: a YAML file with these options; the command line overrides it")
      ->group(group);
  app->add_option("-o,--output", arguments->output, "Folder of the run (default: output/<model>)")
      ->group(group);
  app->add_option("--experiment", arguments->experiment, "Subfolder of --output")->group(group);
  CLI::Option* resume_option =
      app->add_option("--resume", arguments->resume,
                      "Continue a run from this file (default: last.safetensors of --output); the "
                      "options are the run's own unless --config is given")
          ->expected(0, 1)
          ->group(group);
  app->add_option("--nproc", arguments->nproc,
                  "Processes on this machine that share the work; several machines: "
                  "docs/guide/distributed.md")
      ->check(CLI::Range(1, kMaxWorkers))
      ->group(group);
  app->add_flag("--auto-resume", arguments->auto_resume,
                "Continue the run in --output when there is one, start it otherwise: the same "
                "command for every start by a scheduler")
      ->excludes(resume_option)
      ->group(group);
  app->add_option_function<int64_t>(
         "--max-steps", [arguments](const int64_t& value) { arguments->max_steps = value; },
         "Stop after this many steps of the whole run, as Ctrl-C would")
      ->group(group);
  app->add_flag("--json", arguments->json, "Print the outcome as JSON on standard output")
      ->group(group);
  add_recipe_options(*app, train::default_options(Task::kClassify), arguments->given);
  return {app,
          [arguments, resume_option] { return run_train(*arguments, resume_option->count() > 0); }};
}

}  // namespace asmlp::cli
