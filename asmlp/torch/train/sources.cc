#include "asmlp/torch/train/sources.h"

#include "asmlp/torch/data/augment/transforms.h"

namespace asmlp::train {
namespace {

data::Transform transform_to(const Preprocessing& preprocessing) {
  data::Transform transform;
  transform.channels = static_cast<int>(preprocessing.mean.size());
  transform.height = transform.width = preprocessing.size;
  return transform;
}

}  // namespace

std::unique_ptr<data::BatchSource> training_source(const data::DataSource& split,
                                                   const Preprocessing& preprocessing,
                                                   const TrainOptions& options,
                                                   const dist::World& world) {
  data::Transform transform = transform_to(preprocessing);
  transform.encoded = true;  // only the crop is decoded
  transform.apply = [preprocessing, augmentation = options.classification.augmentation](
                        const Sample& sample, data::Random& random, std::span<float> out) {
    data::transform_for_training(sample, preprocessing, augmentation, random, out);
  };
  return split.batches(transform, {.batch_size = options.schedule.batch_size,
                                   .workers = options.run.workers,
                                   .seed = options.run.seed,
                                   .rank = world.rank(),
                                   .world = world.size(),
                                   .order = data::Order::kShuffled,
                                   .remainder = data::Remainder::kDrop});
}

std::unique_ptr<data::BatchSource> evaluation_source(const data::DataSource& split,
                                                     const Preprocessing& preprocessing,
                                                     int batch_size, int workers,
                                                     const dist::World& world) {
  data::Transform transform = transform_to(preprocessing);
  transform.apply = [preprocessing](const Sample& sample, data::Random&, std::span<float> out) {
    data::transform_for_evaluation(sample.image, preprocessing, out);
  };
  return split.batches(
      transform,
      {.batch_size = batch_size, .workers = workers, .rank = world.rank(), .world = world.size()});
}

}  // namespace asmlp::train
