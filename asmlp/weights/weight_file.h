// Any file of weights: what is in it, before anybody decides what to do with it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/description/description.h"
#include "asmlp/weights/pytorch/class_names.h"

namespace asmlp {

struct WeightFile {
  std::filesystem::path path;
  TensorMap tensors;
  std::map<std::string, std::string> metadata;  // of a safetensors file
  // The training configuration in a .pth file as a JSON object (PthFile::config_json), else "".
  std::string training_config;
  ClassNames classes;              // what a file of another project says of them
  std::vector<std::string> notes;  // one sentence for everything that was chosen or dropped

  // What the file says of itself; nothing where it says nothing, as the authors' files. Errors:
  // those of description_from_json.
  std::optional<Description> description() const;
  // Whether it is the state of a training run (last.safetensors), of which `tensors` are the
  // model's own: the average's where there is one.
  bool is_training_state() const { return metadata.contains("asmlp_train"); }
  // The task: the description's, else the one whose heads the tensors are.
  Task task() const;
};

// Reads a .safetensors or PyTorch file, told apart by content, the index of shards
// (*.index.json), or a folder with one of these. Tensors of a safetensors file point into a map of
// the file; names are without what wrappers put before them (unwrap.h). Errors: kNotFound, kIo, and
// those of read_safetensors, read_pth and shards.h; kBadFormat for a file that is neither, naming
// what it is instead.
WeightFile read_weights(const std::filesystem::path& path);

// The names that the file has for `count` classes; empty when it has none, or another number, which
// `notes` (may be null) says.
std::vector<std::string> class_names_for(const WeightFile& file, int count,
                                         std::vector<std::string>* notes);

// Whether any name begins with `prefix`.
bool has_prefix(const TensorMap& tensors, const std::string& prefix);

// The tensors whose names begin with `prefix`, without it.
TensorMap below_prefix(const TensorMap& tensors, const std::string& prefix);

}  // namespace asmlp
