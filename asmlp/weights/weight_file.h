// Any file of weights: what is in it, before anybody decides what to do with it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "asmlp/core/tensor.h"
#include "asmlp/model/description/description.h"

namespace asmlp {

struct WeightFile {
  std::filesystem::path path;
  TensorMap tensors;
  std::map<std::string, std::string> metadata;  // of a safetensors file
  // The training configuration in a .pth file as a JSON object (PthFile::config_json), else "".
  std::string training_config;

  // What the file says of itself; nothing where it says nothing, as the authors' files. Errors:
  // those of description_from_json.
  std::optional<Description> description() const;
  // Whether it is the state of a training run (last.safetensors), of which `tensors` are the
  // model's own: the average's where there is one.
  bool is_training_state() const { return metadata.contains("asmlp_train"); }
  // The task: the description's, else the one whose heads the tensors are.
  Task task() const;
};

// Reads a .safetensors or PyTorch file, told apart by content. Tensors of a safetensors file point
// into a map of the file. Errors: kNotFound, kIo, and those of read_safetensors and read_pth;
// kBadFormat for a file that is neither.
WeightFile read_weights(const std::filesystem::path& path);

// The tensors whose names begin with `prefix`, without it.
TensorMap below_prefix(const TensorMap& tensors, const std::string& prefix);

}  // namespace asmlp
