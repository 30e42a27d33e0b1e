// What a file of weights is for.
#pragma once

#include <filesystem>

namespace asmlp::cli {

enum class ModelTask { kClassify, kDetect, kSegment };

// By the description in a safetensors file: asmlp_detector, asmlp_segmentor, otherwise (and for any
// other file, or one that cannot be read) kClassify.
ModelTask task_of(const std::filesystem::path& file);

// The bundled model of a task: the first *.safetensors for it, by name, of $ASMLP_MODEL_DIR or of
// ../models, ../../models and ../share/asmlp/models beside the executable. Error(kNotFound) says
// where was looked.
std::filesystem::path bundled_model(ModelTask task);

// Whether `validate ...` is of a detector: by the file of --model, or, when that does not say it or
// is not given, by data laid out as COCO is (annotations/instances_val2017.json).
bool validates_detector(int argc, const char* const* argv);

}  // namespace asmlp::cli
