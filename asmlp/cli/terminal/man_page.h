// Manual pages in the language of man(7).
#pragma once

#include <string>
#include <vector>

#include "asmlp/cli/terminal/command_table.h"

namespace asmlp::cli {

// Whether a command has a page of its own: not help and version, nor one whose options are not
// known.
bool has_page(const CommandTable& command);

// The page of the program, which lists its commands.
std::string man_page(const CommandTable& program, const std::string& version);

// The page of the command at `path` below the program (`{"dataset", "shards"}`), with those of its
// own commands in it.
std::string man_page(const CommandTable& program, const std::vector<std::string>& path,
                     const std::string& version);

}  // namespace asmlp::cli
