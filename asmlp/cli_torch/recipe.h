// Recipes: the options of a training run as a YAML file, and as command-line options.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "asmlp/torch/train/options.h"

namespace asmlp::cli {

// Reads a recipe over the authors' defaults. Keys are the option names ('_' or '-'); `model` may be
// a map (model/spec.h). Error(kInvalidArgument) naming the file and the key, with the nearest
// known.
train::TrainOptions load_recipe(const std::filesystem::path& path);

// The options as a recipe that load_recipe reads back equal.
std::string recipe_text(const train::TrainOptions& options);

// Declares every training option on `app`; their present values are shown as defaults.
void add_recipe_options(CLI::App& app, train::TrainOptions& options);

}  // namespace asmlp::cli
