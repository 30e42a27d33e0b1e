// The models that come with the program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/model/task.h"

namespace asmlp::cli {

// The bundled model of a task: the first *.safetensors for it, by name, of $ASMLP_MODEL_DIR or of
// ../models, ../../models and ../share/asmlp/models beside the executable. Error(kNotFound) says
// where was looked.
std::filesystem::path bundled_model(Task task);

// What a model that the user has not chosen can say at all, for a note: it has no other answers.
// `classes` are the names of its `count` classes, or none.
std::string known_classes(const std::filesystem::path& file, const std::string& name,
                          const std::vector<std::string>& classes, int count);

}  // namespace asmlp::cli
