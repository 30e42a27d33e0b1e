// The models that come with the program.
#pragma once

#include <filesystem>

#include "asmlp/model/task.h"

namespace asmlp::cli {

// The bundled model of a task: the first *.safetensors for it, by name, of $ASMLP_MODEL_DIR or of
// ../models, ../../models and ../share/asmlp/models beside the executable. Error(kNotFound) says
// where was looked.
std::filesystem::path bundled_model(Task task);

}  // namespace asmlp::cli
