// A model in words, for `info` and `convert`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/model/spec.h"

namespace asmlp::cli {

// One aligned line per property: config, counts at `size` x `size` pixels, preprocessing, classes,
// origin. `file` may be empty.
std::string describe_model(const ModelSpec& spec, const std::filesystem::path& file);

// The same as JSON: {"name", "file", "config", "preprocessing", "classes", "origin", "parameters",
// "multiply_adds", "img_size"}.
Json model_to_json(const ModelSpec& spec, const std::filesystem::path& file);

// The parameter table: name, shape, elements, and the sum.
std::string parameter_text(const ModelSpec& spec);

}  // namespace asmlp::cli
