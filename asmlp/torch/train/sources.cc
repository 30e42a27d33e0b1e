#include "asmlp/torch/train/sources.h"

#include "asmlp/torch/data/augment/transforms.h"

namespace asmlp::train {
namespace {

data::LoaderOptions loader_options(const Preprocessing& preprocessing, int batch_size, int workers,
                                   const dist::World& world) {
  data::LoaderOptions loading;
  loading.batch_size = batch_size;
  loading.workers = workers;
  loading.channels = static_cast<int>(preprocessing.mean.size());
  loading.height = loading.width = preprocessing.size;
  loading.rank = world.rank();
  loading.world = world.size();
  return loading;
}

}  // namespace

std::unique_ptr<data::BatchSource> training_source(const data::DataSource& split,
                                                   const Preprocessing& preprocessing,
                                                   const TrainOptions& options,
                                                   const dist::World& world) {
  data::LoaderOptions loading =
      loader_options(preprocessing, options.schedule.batch_size, options.run.workers, world);
  loading.shuffle = loading.drop_last = true;
  loading.seed = options.run.seed;
  loading.encoded = true;  // only the crop is decoded
  return split.batches(
      [preprocessing, augmentation = options.classification.augmentation](
          const Sample& sample, data::Random& random, std::span<float> out) {
        data::transform_for_training(sample, preprocessing, augmentation, random, out);
      },
      loading);
}

std::unique_ptr<data::BatchSource> evaluation_source(const data::DataSource& split,
                                                     const Preprocessing& preprocessing,
                                                     int batch_size, int workers,
                                                     const dist::World& world) {
  return split.batches(
      [preprocessing](const Sample& sample, data::Random&, std::span<float> out) {
        data::transform_for_evaluation(sample.image, preprocessing, out);
      },
      loader_options(preprocessing, batch_size, workers, world));
}

}  // namespace asmlp::train
