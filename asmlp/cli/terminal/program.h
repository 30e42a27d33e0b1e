// The frame around subcommands: parsing, help, exit codes, error output. `asmlp` and `asmlp-torch`
// are both such a program; only their lists of subcommands differ.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/command_table.h"

namespace asmlp::cli {

// A subcommand after its options have been declared: `run` returns the exit code and may throw.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
  // Of a command whose options another program knows: prints its help, and gives its options
  // (nothing where that program is missing).
  std::function<int()> help = {};
  std::function<std::optional<CommandTable>()> table = {};
};

// Declares a subcommand on the program and says how to run it.
using AddCommand = std::function<Command(CLI::App& program)>;

// Parses the command line, runs the subcommand and returns the exit code (console.h). Never throws:
// errors are printed as "<name>: error: ..." on standard error and, with --json anywhere on the
// command line, also as {"error": {"code", "message"}} on standard output.
int run_program(const std::string& name, const std::string& description,
                const std::vector<AddCommand>& commands, int argc, const char* const* argv);

// Adds a subcommand with the look that all of them share, --help and --quiet; `footer` holds
// examples.
CLI::App* add_subcommand(CLI::App& program, const std::string& name, const std::string& description,
                         const std::string& footer);

}  // namespace asmlp::cli
