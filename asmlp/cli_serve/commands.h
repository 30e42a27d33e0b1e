// What `asmlp-serve` has: users say `asmlp serve ...`.
#pragma once

#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

Command add_serve(CLI::App& program);

}  // namespace asmlp::cli
