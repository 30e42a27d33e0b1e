#include "asmlp/torch/train/tasks/dense_task.h"

#include "asmlp/torch/train/sources.h"

namespace asmlp::train {

data::LoaderOptions training_loading(const TrainOptions& options, data::Remainder remainder,
                                     const dist::World& world) {
  return {.batch_size = options.schedule.batch_size,
          .workers = loader_workers(options),
          .seed = options.run.seed,
          .rank = world.rank(),
          .world = world.size(),
          .order = data::Order::kGrouped,
          .remainder = remainder,
          .batches_per_epoch = options.dense.steps_per_epoch * options.schedule.accumulation_steps};
}

data::LoaderOptions validation_loading(const TrainOptions& options, const dist::World& world) {
  return {.batch_size = 1,
          .workers = loader_workers(options),
          .rank = world.rank(),
          .world = world.size()};
}

}  // namespace asmlp::train
