// The frame around subcommands: parsing, help, exit codes, error output. `asmlp` and `asmlp-torch`
// are both such a program; only their lists of subcommands differ.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace asmlp::cli {

// A subcommand after its options have been declared: `run` returns the exit code and may throw.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

// Declares a subcommand on the program and says how to run it.
using AddCommand = std::function<Command(CLI::App& program)>;

// Parses the command line, runs the subcommand and returns the exit code (console.h). Never throws:
// errors are printed as "<name>: error: ..." on standard error and, with --json anywhere on the
// command line, also as {"error": {"code", "message"}} on standard output.
int run_program(const std::string& name, const std::string& description,
                const std::vector<AddCommand>& commands, int argc, const char* const* argv);

// Adds a subcommand with the look that all of them share; `footer` holds examples.
CLI::App* add_subcommand(CLI::App& program, const std::string& name, const std::string& description,
                         const std::string& footer);

// The subcommands of `asmlp`.
Command add_info(CLI::App& program);
Command add_predict(CLI::App& program);
Command add_validate(CLI::App& program);
Command add_convert(CLI::App& program);
Command add_forward(CLI::App& program);
Command add_bench(CLI::App& program);
Command add_dataset(CLI::App& program);
Command add_study(CLI::App& program);

// Those that exist on both backends, on the one given.
struct Backend;
Command add_validate_on(CLI::App& program, const Backend& backend);
Command add_forward_on(CLI::App& program, const Backend& backend);
Command add_bench_on(CLI::App& program, const Backend& backend);

// Only places in the help text: the arguments go to asmlp-torch before anything is parsed.
Command add_train(CLI::App& program);
Command add_segment(CLI::App& program);
Command add_detect(CLI::App& program);

// True for `bench ... --train ...`, the speed of training steps.
bool measures_training(int argc, const char* const* argv);
// True for `bench ... --task detect ...`, the time of the parts of a detection.
bool measures_detection(int argc, const char* const* argv);

// What of these arguments needs LibTorch, in the words of a message: `train`, `detect`, `segment`,
// `validate` and `convert` of a detector or segmentor (model_task.h), `bench --train`, `bench
// --task detect`, or `--backend torch` with any subcommand but `bench`, which shows both backends
// and starts the other program itself. Nothing for other arguments.
std::optional<std::string> what_needs_torch(int argc, const char* const* argv);

// The program `asmlp-torch`, beside this executable or else on PATH. Error(kUnsupported) when there
// is none, saying that `what` needs it and how to get it.
std::filesystem::path find_torch_program(const std::string& what);

// Replaces this process by `asmlp-torch`, found by find_torch_program(what), with the same
// arguments. Returns only by an Error.
[[noreturn]] void exec_torch(const std::string& what, int argc, const char* const* argv);

}  // namespace asmlp::cli
