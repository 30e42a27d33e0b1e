#include "asmlp/torch/train/tasks/dense_task.h"

namespace asmlp::train {

data::ItemLoaderOptions training_items(const TrainOptions& options, data::Remainder remainder,
                                       const dist::World& world) {
  data::ItemLoaderOptions loading;
  loading.batch_size = options.schedule.batch_size;
  loading.workers = options.run.workers;
  loading.seed = options.run.seed;
  loading.rank = world.rank();
  loading.world = world.size();
  loading.training = true;
  loading.remainder = remainder;
  loading.batches_per_epoch = options.dense.steps_per_epoch * options.schedule.accumulation_steps;
  return loading;
}

data::ItemLoaderOptions validation_items(const TrainOptions& options, const dist::World& world) {
  data::ItemLoaderOptions loading;
  loading.batch_size = 1;
  loading.workers = options.run.workers;
  loading.rank = world.rank();
  loading.world = world.size();
  return loading;
}

}  // namespace asmlp::train
