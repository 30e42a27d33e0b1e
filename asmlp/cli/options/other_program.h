// Programs beside this one, for what needs libraries that it does not have: asmlp-torch,
// asmlp-serve.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string>

#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

// A command line as it was given, the program's name first: what is handed over, unchanged.
using Arguments = std::span<const char* const>;

struct OtherProgram {
  const char* name;    // of its file
  const char* advice;  // how to get it: the end of a sentence "... is not there; "
};

inline constexpr OtherProgram kServeProgram{"asmlp-serve",
                                            "build it with cpp-httplib: `scripts/install_deps.sh "
                                            "&& cmake --preset release && cmake --build "
                                            "--preset release`"};

// The program beside this executable or else on PATH. Error(kUnsupported) when there is none,
// saying that `what` needs it and how to get it.
std::filesystem::path find_program(const OtherProgram& other, const std::string& what);

// Replaces this process by `program`, with `words` after its name. Returns only by an Error.
[[noreturn]] void exec_program(const std::filesystem::path& program, Arguments words);

// A subcommand whose options only `other` knows: whatever follows its name, --help included, is for
// that program.
Command add_other_command(CLI::App& program, const OtherProgram& other, const std::string& name,
                          const std::string& description, Arguments arguments);

}  // namespace asmlp::cli
