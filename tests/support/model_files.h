// Model files and a way to look at errors, for the tests of this layer.
#pragma once

#include <filesystem>
#include <optional>

#include "asmlp/asmlp.hpp"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/fill.h"

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
