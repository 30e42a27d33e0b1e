// The other program, asmlp-torch, for what needs LibTorch.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "asmlp/cli/terminal/program.h"
#include "asmlp/model/task.h"

namespace asmlp::cli {

// A command line as it was given, the program's name first: what is handed over, unchanged.
using Arguments = std::span<const char* const>;

// The program `asmlp-torch`, beside this executable or else on PATH. Error(kUnsupported) when there
// is none, saying that `what` needs it and how to get it.
std::filesystem::path find_torch_program(const std::string& what);

// Replaces this process by `asmlp-torch`, found by find_torch_program(what), with the same
// arguments and, where it has been decided, the task. Returns only by an Error.
[[noreturn]] void exec_torch(const std::string& what, Arguments arguments,
                             std::optional<Task> task = {});

// A subcommand whose options only asmlp-torch knows: whatever follows its name, --help included, is
// for that program.
Command add_torch_command(CLI::App& program, const std::string& name,
                          const std::string& description, Arguments arguments);

}  // namespace asmlp::cli
