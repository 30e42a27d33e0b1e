// What a file of weights is for.
#pragma once

#include <filesystem>
#include <span>

namespace asmlp::cli {

enum class ModelTask { kClassify, kDetect, kSegment };

// The bundled model of a task: the first *.safetensors for it, by name, of $ASMLP_MODEL_DIR or of
// ../models, ../../models and ../share/asmlp/models beside the executable. Error(kNotFound) says
// where was looked.
std::filesystem::path bundled_model(ModelTask task);

// What `validate ...` or `convert ...` is of, known before the command line is parsed. validate: by
// an --arch of UPerNet, else by the file of --model, else, when that says nothing or is not given,
// a detector for data laid out as COCO is (annotations/instances_val2017.json). convert: by the
// first file of weights on the line. kClassify otherwise, and for other commands.
ModelTask commanded_task(std::span<const char* const> arguments);

}  // namespace asmlp::cli
