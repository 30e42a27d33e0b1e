// A model in words, for `info` and `convert`.
#pragma once

#include <filesystem>
#include <string>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/tensor.h"
#include "asmlp/model/description/description.h"

namespace asmlp::cli {

// One aligned line per property: task, counts, architecture, preprocessing, classes, origin; of a
// file its size and, of its tensors, the types that they are stored in. Both may be empty.
std::string describe_model(const Description& model, const std::filesystem::path& file,
                           const TensorMap& tensors);

// The same as JSON: {"task", "name", "file", "file_bytes", "storage", "config", "preprocessing",
// "classes", "origin", "parameters", "multiply_adds", "img_size"}; "storage" has the number of
// elements of each type ("bf16", "fp32", "int8", ...), "img_size" is [h, w] for detectors and
// segmentors.
Json model_to_json(const Description& model, const std::filesystem::path& file,
                   const TensorMap& tensors);

// The parameter table: name, shape, elements, and the sum. Error(kUnsupported) for a baseline,
// which has none.
std::string parameter_text(const Description& model);
Json parameter_json(const Description& model);

}  // namespace asmlp::cli
