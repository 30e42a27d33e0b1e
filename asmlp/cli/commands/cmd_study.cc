// asmlp study: configurations x seeds under one budget.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/study_runner.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/core/files/inside_path.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/stop_signals.h"
#include "asmlp/study/plan.h"
#include "asmlp/study/results.h"

namespace asmlp::cli {
namespace {

struct StudyArguments {
  std::string file;
  std::string output;
  std::string jobs = "auto";
  std::optional<double> budget;
  std::optional<std::string> data;
  bool speed = false;
  bool dry_run = false;
  bool json = false;
};

constexpr const char* kStudyFooter =
    "Every configuration is trained with every seed for the same epochs, by `asmlp train`, in a "
    "folder of\n"
    "its own. Ctrl-C (or the end of the budget) lets the running ones save; the same command goes "
    "on.\n"
    "docs/guide/studies.md has the format.\n"
    "Examples:\n"
    "  asmlp study studies/paper_ablation.yaml --dry-run       what it will take\n"
    "  asmlp study studies/paper_ablation.yaml --output out/ablation --budget 50\n"
    "  asmlp study studies/imagenette_shift.yaml --data ~/imagenette --jobs 2 --speed";

int parse_jobs(const std::string& text) {
  if (text == "auto") return 0;
  const bool digits = !text.empty() && text.size() <= 3 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const int jobs = digits ? std::stoi(text) : 0;
  require(jobs >= 1 && jobs <= 256, ErrorCode::kInvalidArgument,
          "--jobs {}: must be auto or 1..256", text);
  return jobs;
}

int run_study(const StudyArguments& options) {
  const std::filesystem::path file = options.file;
  const StudyPlan plan = study::load_study(file, options.data);
  require(
      !options.output.empty() || stays_inside(plan.name), ErrorCode::kBadFormat,
      "{}: its name '{}' leads out of the folder output/; rename the study, or say with --output "
      "where it goes",
      options.file, printable(plan.name, LineBreaks::kEscape));
  StudyOptions settings;
  settings.program = find_torch_program("`study`");
  settings.output = options.output.empty() ? std::filesystem::path("output") / plan.name
                                           : std::filesystem::path(options.output);
  settings.jobs = parse_jobs(options.jobs);
  settings.budget_minutes = options.budget;
  const StopSignals signals(StopSignals::Second::kCounts);
  std::optional<StudyRunner> begun;
  try {
    begun.emplace(plan, settings);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInterrupted || StopSignals::received() == 0) throw;
    return 128 + StopSignals::last_signal();
  }
  StudyRunner& runner = *begun;
  PoolEnd end = runner.time();
  if (end == PoolEnd::kDone && options.dry_run) {
    if (options.json) {
      print_json(runner.estimate_json());
    } else {
      print_out(runner.estimate_text());
    }
    return kExitOk;
  }
  if (end == PoolEnd::kDone) {
    if (!quiet()) print_screen(runner.estimate_text());
    end = runner.run();
  }
  if (end == PoolEnd::kDone && options.speed) end = runner.measure_speed();
  const Json document = runner.document();
  if (options.json) {
    print_json(document);
  } else {
    print_out(study::study_text(document, study::StudyMarkup::kPlain));
  }
  const Json& runs = document["runs"];
  const bool whole = runs["finished"] == runs["planned"];
  if (!whole) {
    print_note(fmt::format("{}; continue with: asmlp study {} --output {}{}{}",
                           end == PoolEnd::kInterrupted ? "stopped"
                           : end == PoolEnd::kOutOfTime ? "the budget is used up"
                                                        : "some runs failed",
                           options.file, settings.output.string(),
                           options.data ? " --data " + *options.data : "",
                           options.speed ? " --speed" : ""));
  }
  if (end == PoolEnd::kInterrupted) return 128 + StopSignals::last_signal();
  return whole ? kExitOk : kExitFailed;
}

}  // namespace

Command add_study(CLI::App& program) {
  auto options = std::make_shared<StudyArguments>();
  CLI::App* app = add_subcommand(
      program, "study", "Train configurations x seeds and compare them (needs asmlp-torch)",
      kStudyFooter);
  app->add_option("study", options->file, "the study: a YAML file")
      ->required()
      ->type_name("STUDY.yaml");
  app->add_option("-o,--output", options->output,
                  "folder of the study (default: output/<name of the study>)")
      ->type_name("DIR");
  app->add_option(
         "--data", options->data,
         "the data set, instead of `data` in the `base` of the file; it belongs to the runs: give "
         "it again to continue")
      ->type_name("DIR");
  app->add_option("--jobs", options->jobs,
                  "training processes at a time, which share the cores; auto (default): one per "
                  "core as far as memory allows")
      ->type_name("N|auto");
  app->add_option("--budget", options->budget,
                  "wall time in minutes; then the running ones save and the table says what is "
                  "missing (default: no limit)")
      ->check(CLI::PositiveNumber)
      ->type_name("MINUTES");
  app->add_flag("--speed", options->speed,
                "when all runs have ended, measure each AS-MLP on the native engine, too (one "
                "thread, batch 1 and 32); kept in the results");
  app->add_flag(
      "--dry-run", options->dry_run,
      "train every configuration for some seconds, say what the study would take, and end");
  app->add_flag("--json", options->json, "print the results as JSON on standard output");
  return {app, [options] { return run_study(*options); }};
}

}  // namespace asmlp::cli
