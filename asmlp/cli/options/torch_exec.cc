// The way from `asmlp` to the commands that need LibTorch.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "asmlp/cli/options/model_task.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/program.h"
#include "asmlp/cli/options/raw_option.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  return fs::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0;
}

// An empty path when there is none.
fs::path look_for_torch_program() {
  const fs::path beside = executable_folder() / "asmlp-torch";
  if (is_program(beside)) return beside;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / "asmlp-torch";
    if (is_program(candidate)) return candidate;
  }
  return {};
}

// Commands that asmlp-torch alone has.
bool is_torch_command(const std::string& name) {
  return name == "train" || name == "detect" || name == "segment";
}

std::span<const char* const> words_of(int argc, const char* const* argv) {
  return {argv, static_cast<size_t>(argc)};
}

}  // namespace

bool measures_training(int argc, const char* const* argv) {
  return argc > 1 && std::strcmp(argv[1], "bench") == 0 &&
         std::any_of(argv + 2, argv + argc,
                     [](const char* word) { return std::strcmp(word, "--train") == 0; });
}

bool measures_detection(int argc, const char* const* argv) {
  return argc > 1 && std::strcmp(argv[1], "bench") == 0 &&
         raw_option(words_of(argc, argv), "--task") == "detect";
}

std::optional<std::string> what_needs_torch(int argc, const char* const* argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (is_torch_command(command)) return fmt::format("`{}`", command);
  const ModelTask task = commanded_task(words_of(argc, argv));
  if (task == ModelTask::kSegment) return fmt::format("`{}` of a segmentor", command);
  if (task == ModelTask::kDetect) return fmt::format("`{}` of a detector", command);
  if (measures_training(argc, argv)) return "`bench --train`";
  if (measures_detection(argc, argv)) return "`bench --task detect`";
  const bool backend = raw_option(words_of(argc, argv), "--backend") == "torch";
  return backend && command != "bench" ? std::optional<std::string>("`--backend torch`")
                                       : std::nullopt;
}

fs::path find_torch_program(const std::string& what) {
  const fs::path program = look_for_torch_program();
  require(!program.empty(), ErrorCode::kUnsupported,
          "{} needs the program asmlp-torch, which is neither in {} nor on PATH; build it with "
          "LibTorch: `scripts/install_deps.sh && cmake --preset release && cmake --build --preset "
          "release`",
          what, executable_folder().string());
  return program;
}

void exec_torch(const std::string& what, int argc, const char* const* argv) {
  const fs::path program = find_torch_program(what);
  std::string name = program.string();
  std::vector<char*> arguments{name.data()};
  for (int i = 1; i < argc; ++i) arguments.push_back(const_cast<char*>(argv[i]));
  arguments.push_back(nullptr);
  ::execv(name.c_str(), arguments.data());
  fail(ErrorCode::kIo, "{}: cannot run it: {}", name, std::strerror(errno));
}

Command add_train(CLI::App& program) {
  CLI::App* app = add_subcommand(
      program, "train", "Train a model (needs asmlp-torch; `asmlp train --help` is its)", "");
  return {app, [] { return 0; }};
}

Command add_segment(CLI::App& program) {
  CLI::App* app =
      add_subcommand(program, "segment",
                     "Tell the class of every pixel (needs asmlp-torch, whose help it shows)", "");
  return {app, [] { return 0; }};
}

Command add_detect(CLI::App& program) {
  CLI::App* app = add_subcommand(program, "detect",
                                 "Find objects (needs asmlp-torch, whose help it shows)", "");
  return {app, [] { return 0; }};
}

}  // namespace asmlp::cli
