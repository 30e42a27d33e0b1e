#include "asmlp/torch/train/tasks/dense_task.h"

namespace asmlp::train {

data::LoaderOptions training_loading(const TrainOptions& options, data::Remainder remainder,
                                     const dist::World& world) {
  return {.batch_size = options.schedule.batch_size,
          .workers = options.run.workers,
          .seed = options.run.seed,
          .rank = world.rank(),
          .world = world.size(),
          .order = data::Order::kGrouped,
          .remainder = remainder,
          .batches_per_epoch = options.dense.steps_per_epoch * options.schedule.accumulation_steps};
}

data::LoaderOptions validation_loading(const TrainOptions& options, const dist::World& world) {
  return {
      .batch_size = 1, .workers = options.run.workers, .rank = world.rank(), .world = world.size()};
}

}  // namespace asmlp::train
