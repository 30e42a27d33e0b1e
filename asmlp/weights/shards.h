// Weights that are in several files, and folders of weights. Inside the weights layer only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/weights/weight_file.h"

namespace asmlp {

// Whether the name is that of an index of shards: *.index.json.
bool is_shard_index(const std::filesystem::path& path);

// Reads all shards of an index ({"weight_map": {tensor: file}}), which lie in its folder, each with
// `read`. Errors: kBadFormat for a damaged index, a name that leads out of the folder, a tensor
// that is missing, that is there twice or that the index does not place there; kNotFound naming the
// shards that are missing.
WeightFile read_shards(const std::filesystem::path& index,
                       WeightFile (*read)(const std::filesystem::path&));

// Error(kInvalidArgument) when `path` is one shard of several whose index lies beside it.
void refuse_single_shard(const std::filesystem::path& path);

// The file of weights in a folder: an index of shards, model.safetensors, pytorch_model.bin (as the
// Hugging Face hub has them), best.safetensors, final.safetensors, last.safetensors (a training
// run's), else the only one there is. `notes` receives which. Error(kNotFound) saying what the
// folder is instead.
std::filesystem::path weights_in_folder(const std::filesystem::path& folder,
                                        std::vector<std::string>& notes);

// The class names in a config.json beside the file; nothing when there is none or it has none.
ClassNames names_in_config_beside(const std::filesystem::path& file);

}  // namespace asmlp
