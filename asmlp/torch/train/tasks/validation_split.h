// Where the validation images of a run come from, when they are not the data's own.
#pragma once

#include <cstdint>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// What to do when the data has no validation split.
inline constexpr const char* kHoldOutHint =
    "to hold out a part of the training images for validation: --val-fraction 0.1";

// open(), whose Error(kNotFound) gets the hint.
auto open_validation(const auto& open) {
  try {
    return open();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    fail(error.code(), "{}; {}", error.what(), kHoldOutHint);
  }
}

// Says, in the first process, how many images are held out (options.model.val_fraction).
void note_held_out(const TrainOptions& options, const std::string& what, int64_t held_out,
                   int64_t images, const dist::World& world);

}  // namespace asmlp::train
