// What a file of weights is for.
#pragma once

#include <filesystem>
#include <span>

namespace asmlp::cli {

enum class ModelTask { kClassify, kDetect, kSegment };

// By the description in a safetensors file: asmlp_detector, asmlp_segmentor, otherwise (and for any
// other file, or one that cannot be read) kClassify.
ModelTask task_of(const std::filesystem::path& file);

// The bundled model of a task: the first *.safetensors for it, by name, of $ASMLP_MODEL_DIR or of
// ../models, ../../models and ../share/asmlp/models beside the executable. Error(kNotFound) says
// where was looked.
std::filesystem::path bundled_model(ModelTask task);

// What `validate ...` is of, known before the command line is parsed: by an --arch of UPerNet (for
// a file that does not say), else by the file of --model, else, when that says nothing or is not
// given, a detector for data laid out as COCO is (annotations/instances_val2017.json). kClassify
// otherwise, and for other commands.
ModelTask validated_task(std::span<const char* const> arguments);

}  // namespace asmlp::cli
