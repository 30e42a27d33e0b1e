// `help` and `version`, which every program has.
#pragma once

#include <string>
#include <vector>

#include "asmlp/cli/terminal/command_table.h"
#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

// "asmlp 0.2.0".
std::string version_text(const std::string& program);

// The tables of the program's commands, as far as they can be had: of a command that another
// program has (Command::table), only name and description where that is missing.
CommandTable table_of_program(const CLI::App& program, const std::vector<Command>& commands);

// What `--help` prints of the command at `path` below the program ({} is the program itself).
std::string help_text(const CLI::App& program, const std::vector<std::string>& path);

// `version`.
Command add_version(CLI::App& program);

// `help [COMMAND...]`: what `COMMAND --help` prints. Hidden options make the files that are
// installed: --man, --completion, --table, --write. `commands` are all commands of the program, and
// must outlive the run.
Command add_help(CLI::App& program, const std::vector<Command>& commands);

}  // namespace asmlp::cli
