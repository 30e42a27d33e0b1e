// The subcommands of `asmlp-torch`. Users say `asmlp train ...` or `asmlp ... --backend torch`; the
// options are those of the native commands wherever both exist.
#pragma once

#include <span>

#include "asmlp/cli/program.h"

namespace asmlp::cli {

// `arguments` is the whole command line: recipe and checkpoint named there give the defaults that
// --help shows and the other options override.
Command add_torch_train(CLI::App& program, std::span<const char* const> arguments);
Command add_torch_validate(CLI::App& program);
Command add_torch_forward(CLI::App& program);

}  // namespace asmlp::cli
