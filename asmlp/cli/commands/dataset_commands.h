// The subcommands of `asmlp dataset`, one per source file.
#pragma once

#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

Command add_dataset_shards(CLI::App& dataset);
Command add_dataset_index(CLI::App& dataset);
Command add_dataset_imagenet_like(CLI::App& dataset);
Command add_dataset_scenes(CLI::App& dataset);

}  // namespace asmlp::cli
