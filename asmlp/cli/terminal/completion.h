// Completion of command lines in shells.
#pragma once

#include <string>

#include "asmlp/cli/terminal/command_table.h"

namespace asmlp::cli {

// The script that makes a shell complete the program's commands, options, values and files, to be
// sourced or put where the shell looks for it. They need nothing but the shell itself.
std::string bash_completion(const CommandTable& program);
std::string zsh_completion(const CommandTable& program);
std::string fish_completion(const CommandTable& program);

}  // namespace asmlp::cli
