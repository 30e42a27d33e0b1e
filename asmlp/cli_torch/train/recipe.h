// Recipes: the options of a training run as a YAML file, and as command-line options.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "asmlp/torch/train/options.h"

namespace asmlp::cli {

// Reads a recipe over the authors' defaults. Keys are the option names ('_' or '-'); `model` may be
// a map (model/spec.h). Error(kInvalidArgument) naming the file and the key, with the nearest
// known.
train::TrainOptions load_recipe(const std::filesystem::path& path);

// Whether a recipe says which model is trained.
bool recipe_names_model(const std::filesystem::path& path);

// The options as a recipe that load_recipe reads back equal.
std::string recipe_text(const train::TrainOptions& options);

// Declares the training options of every task on `app`, but for "task" itself, which is the
// command's. What the command line gives becomes the object `given`, by name, for
// train::read_options. The values of `shown` are the defaults in --help, those of default_options
// for what only other tasks have.
void add_recipe_options(CLI::App& app, const train::TrainOptions& shown, nlohmann::json& given);

}  // namespace asmlp::cli
