// `asmlp train`: a recipe, a folder, and everything in between.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/train/launch.h"
#include "asmlp/cli_torch/train/recipe.h"
#include "asmlp/cli_torch/train/train_display.h"
#include "asmlp/cli_torch/train/train_plan.h"
#include "asmlp/cli_torch/train/train_summary.h"
#include "asmlp/core/error.h"
#include "asmlp/core/files/file_lock.h"
#include "asmlp/core/stop_signals.h"
#include "asmlp/report/table.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/distributed/connect.h"
#include "asmlp/torch/train/device.h"
#include "asmlp/torch/train/resume_options.h"
#include "asmlp/torch/train/tasks/make_task.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrainFooter =
    "Examples:\n"
    "  asmlp train --config recipes/fashion_nano.yaml --output runs/nano\n"
    "  asmlp train photos/ --model best.safetensors --epochs 10\n"
    "  asmlp train --resume runs/nano\n"
    "  asmlp train --resume runs/nano --epochs 40 --extend\n"
    "  asmlp train /data/imagenet --model asmlp_tiny_patch4_shift5_224 -b 64\n"
    "  asmlp train --config recipes/imagenet_tiny.yaml --output runs/tiny --auto-resume\n"
    "Ctrl-C finishes the step, saves last.safetensors and exits with code 130 (SIGTERM: 143, a\n"
    "hang-up: 129); a second one ends at once.";

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
  std::string machine = fmt::format("{} thread{}", state.threads, state.threads == 1 ? "" : "s");
  if (state.world > 1) machine = fmt::format("{} processes of {}", state.world, machine);
  if (trainer.device().is_cuda()) machine += " on " + trainer.device().str();
  if (options.run.amp != train::Amp::kOff) {
    machine += fmt::format(", {}", name_of(options.run.amp));
  }
  print_note(fmt::format(
      "{}: {} parameters, {} training and {} validation images of {} classes, {} epochs of {} "
      "steps of {} images, lr {:.3g} for such a step, {}; writing to {}",
      facts.model, group_digits(trainer.parameters()), facts.training_images,
      facts.validation_images, facts.classes.size(), options.schedule.epochs,
      trainer.steps_per_epoch(), trainer.global_batch(), options.learning_rates(state.world).peak,
      machine, folder.string()));
  if (options.optimizer.freeze > 0) {
    print_note(fmt::format("frozen: the patch embedding and {} stage{}; {} parameters are trained",
                           options.optimizer.freeze, options.optimizer.freeze == 1 ? "" : "s",
                           group_digits(trainer.trained_parameters())));
  }
  if (!trainer.schedule_note().empty()) print_note(trainer.schedule_note());
  if (!resumed) return;
  if (trainer.finished()) {
    print_note(fmt::format(
        "the run in {} has finished: there is nothing left to do; --resume {} --epochs N --extend, "
        "with N above {}, trains on",
        folder.string(), folder.string(), state.epoch));
    return;
  }
  print_note(fmt::format("resumed from {} at epoch {}, step {}", trainer.resumed_from().string(),
                         state.epoch + 1, trainer.step_in_epoch()));
}

// Continues a run, as the arguments say, or starts one. True when it continues.
bool begin(train::Trainer& trainer, const TrainArguments& arguments, const fs::path& state) {
  if (arguments.resumes) {
    trainer.resume(
        state, arguments.extend ? train::Continuation::kLonger : train::Continuation::kAsPlanned);
  } else if (!arguments.auto_resume || !trainer.resume_automatically()) {
    for (const std::string& note : trainer.load_initial_weights()) print_note(note);
    return false;
  }
  return true;
}

// The run's folder, which no other run may write into meanwhile.
std::unique_ptr<FolderLock> lock_folder(const fs::path& folder, const std::string& command) {
  LockRequest request;
  request.holder = "a training run";
  request.command = command;
  request.advice = "wait until it has ended, end it, or choose another --output";
  request.on_taken_over = print_note;
  return std::make_unique<FolderLock>(folder, request);
}

// The training; the log learns of an error, too.
train::Outcome run_logged(train::Trainer& trainer, train::Observers& observers,
                          std::optional<train::RunLog>& log, std::optional<int64_t> max_steps) {
  try {
    return trainer.run(observers, &StopSignals::requested(), max_steps);
  } catch (const std::exception& error) {
    if (log) log->fail(error.what());
    throw;
  }
}

// Whether the images came fast enough.
void note_data_wait(const TrainDisplay& display) {
  constexpr double kMuch = 0.1;
  if (display.data_wait() < kMuch) return;
  print_note(
      fmt::format("{:.0f} % of the training time was spent waiting for images: --cache "
                  "ram or disk keeps them decoded, --decode fast is for large photos "
                  "(docs/guide/data.md)",
                  100 * display.data_wait()));
}

// The run of this process, which is one of the world's; rank 0 speaks and writes for all.
int run_in(dist::World& world, const TrainArguments& arguments) {
  const bool resume = arguments.resumes;
  train::TrainOptions options = arguments.options;
  std::unique_ptr<train::TrainingTask> task =
      train::make_task(options, tag_of(data_folder(options)), world);
  if (const auto note = train::fit_batch(task->facts().training_images, world.size(), options)) {
    if (world.rank() == 0) print_note(*note);
    task = train::make_task(options, tag_of(data_folder(options)), world);
  }
  const std::string model_name = model_of(task->facts().model);
  const fs::path folder = run_folder(arguments, model_name);
  const fs::path state = resume && !arguments.resume.empty() ? fs::path(arguments.resume)
                                                             : folder / "last.safetensors";
  const bool speaks = world.rank() == 0;
  std::unique_ptr<FolderLock> lock;
  if (speaks) lock = lock_folder(folder, arguments.command);
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
  const bool resumed = begin(trainer, arguments, state);
  train::Observers observers;
  TrainDisplay display(options.run.log_interval, trainer.steps());
  std::optional<train::RunLog> log;
  if (speaks) {
    announce(trainer, folder, resumed);
    log.emplace(folder, run_facts(trainer, arguments.command, resumed));
    observers.add(display);
    observers.add(*log);
  }

  std::optional<StopSignals> signals(std::in_place, StopSignals::Second::kEndsProgram);
  const train::Outcome outcome = run_logged(trainer, observers, log, arguments.max_steps);
  display.close();
  signals.reset();

  const bool finished = outcome == train::Outcome::kFinished;
  const int code =
      !finished && StopSignals::requested() ? 128 + StopSignals::last_signal() : kExitOk;
  if (!speaks) return trainer.hangs() ? end_process(code) : code;
  const Json summary = summary_json(trainer, folder, outcome, display);
  note_data_wait(display);
  log->close(finished ? "finished" : "stopped", summary);
  if (arguments.json) print_json(summary);
  const train::RunState& end = trainer.state();
  if (!finished) {
    print_note(fmt::format("stopped at epoch {}, step {}; continue with: asmlp train --resume {}",
                           end.epoch + 1, trainer.step_in_epoch(), trainer.state_path().string()));
    if (trainer.hangs()) {
      lock.reset();
      return end_process(code);  // although a thread hangs
    }
    return code;
  }
  const std::string& main = trainer.facts().eval_metric;
  const double last = value_of(end.history.back().metrics, main);
  const std::string early =
      trainer.stopped_early()
          ? fmt::format(" early, after {} epochs: no better {} in {} validations", end.epoch,
                        eval_metric_info(main).label, end.validations_since_best)
          : "";
  print_note(fmt::format("finished{6}: best {0} {1} (epoch {2}) in {3}, last {0} {4} in {5}",
                         eval_metric_info(main).label, eval_metric_text({main, end.best}),
                         end.best_epoch + 1, (folder / "best.safetensors").string(),
                         eval_metric_text({main, last}), (folder / "final.safetensors").string(),
                         early));
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

int run_train(TrainArguments& arguments) {
  const std::optional<train::RunState> saved = plan_run(arguments);
  const int nproc = arguments.options.run.nproc;
  if (nproc > 1 && !is_launched_worker()) {
    const std::optional<dist::Rendezvous> already = dist::rendezvous_from_environment();
    require(!already || !arguments.given.contains("nproc"), ErrorCode::kInvalidArgument,
            "--nproc {}: {} has started this process as one of several already; leave --nproc out",
            nproc, already ? already->source : "");
    if (!already) return launch_workers(nproc, arguments.options.run.threads, arguments.words);
  }
  const std::unique_ptr<dist::World> world = join_world(arguments.options);
  try {
    divide_batch(arguments, saved, *world);
    return run_in(*world, arguments);
  } catch (...) {
    // The world's end tells the other processes, and when the first of them has ended, the launcher
    // ends the rest: not this one before it has said what went wrong.
    if (world->size() > 1) std::signal(SIGTERM, SIG_IGN);
    throw;
  }
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
  add_outside_option(*app, group);
  CLI::Option* resume_option =
      app->add_option("--resume", arguments->resume,
                      "Continue a run from this folder or file (default: that of --output); the "
                      "options are the run's own unless --config is given")
          ->expected(0, 1)
          ->group(group);
  app->add_flag("--extend", arguments->extend,
                "With --resume and --epochs: train to more epochs than the run was planned for")
      ->needs(resume_option)
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
  return {app, [arguments, resume_option] {
            arguments->resumes = resume_option->count() > 0;
            return run_train(*arguments);
          }};
}

}  // namespace asmlp::cli
