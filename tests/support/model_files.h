// Model files and a way to look at errors, for the tests of this layer.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/asmlp.hpp"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/fill.h"
#include "tests/support/support.h"

namespace asmlp {

// A model of two stages by the fill rule, written to `file`.
inline Checkpoint write_filled_model(const std::filesystem::path& file, int in_chans = 3,
                                     int classes = 5, int size = 32) {
  Checkpoint checkpoint;
  checkpoint.spec.name = "filled";
  Config& config = checkpoint.spec.config;
  config.in_chans = in_chans;
  config.num_classes = classes;
  config.embed_dim = 12;
  config.depths = {1, 2};
  config.shift_size = {3, 5};
  checkpoint.spec.preprocessing = default_preprocessing(config, size);
  checkpoint.tensors = fill_parameters(config);
  save_checkpoint(file, checkpoint);
  return checkpoint;
}

// The model of tests/data/models/<name>.safetensors, loaded once per program.
inline std::shared_ptr<const Model> trained_model(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Model>> models;
  std::shared_ptr<const Model>& model = models[name];
  if (!model) model = load_model(test::data("models") / (name + ".safetensors")).model;
  return model;
}

// Pictures as those models know them.
inline std::vector<std::filesystem::path> scene_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(test::data("coco_base/val2017"))) {
    files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

// The code of the Error that `call` throws, if it does.
template <typename Call>
std::optional<ErrorCode> error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

}  // namespace asmlp
