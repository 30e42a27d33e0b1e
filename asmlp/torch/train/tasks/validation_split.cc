#include "asmlp/torch/train/tasks/validation_split.h"

#include <fmt/format.h>

#include "asmlp/torch/train/tasks/say.h"

namespace asmlp::train {

void note_held_out(const TrainOptions& options, const std::string& what, int64_t held_out,
                   int64_t images, const dist::World& world) {
  say(world, fmt::format("{}: {} of {} training images are held out for validation (val-fraction "
                         "{}, seed {})",
                         what, held_out, images, options.model.val_fraction, options.run.seed));
}

}  // namespace asmlp::train
