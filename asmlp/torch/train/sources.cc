#include "asmlp/torch/train/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/torch/data/augment/transforms.h"
#include "asmlp/torch/distributed/rendezvous.h"

namespace asmlp::train {
namespace {

// More would hold many batches in memory: two are made ahead for each.
constexpr int kMostWorkers = 8;

data::Transform transform_to(const Preprocessing& preprocessing) {
  data::Transform transform;
  transform.channels = static_cast<int>(preprocessing.mean.size());
  transform.height = transform.width = preprocessing.size;
  return transform;
}

class TwoSources final : public data::BatchSource {
 public:
  TwoSources(std::unique_ptr<data::BatchSource> early, std::unique_ptr<data::BatchSource> late,
             int64_t epochs)
      : early_(std::move(early)), late_(std::move(late)), epochs_(epochs) {}
  int64_t batches() const override { return late_->batches(); }
  int64_t images() const override { return late_->images(); }
  data::BatchStream start(int64_t epoch, int64_t first_batch) const override {
    return (epoch < epochs_ ? early_ : late_)->start(epoch, first_batch);
  }

 private:
  std::unique_ptr<data::BatchSource> early_, late_;
  int64_t epochs_;
};

// Processes of the run on this machine.
int local_processes() {
  const std::optional<dist::Rendezvous> all = dist::rendezvous_from_environment();
  if (!all) return 1;
  if (all->local_size > 0) return all->local_size;
  return dist::on_one_machine(*all) ? all->size : 1;
}

}  // namespace

int loader_workers(const TrainOptions& options) {
  if (options.run.workers) return *options.run.workers;
  return std::clamp(available_cores() / local_processes(), 1, kMostWorkers);
}

ImageCaches open_caches(std::optional<CacheContents> training,
                        std::optional<CacheContents> validation, const TrainOptions& options,
                        const std::filesystem::path& run_folder, const dist::World& world) {
  const RunOptions& run = options.run;
  if (run.cache == CacheMode::kOff) return {};
  const bool speaks = world.rank() == 0;
  const auto say = [speaks](const std::string& text) {
    if (speaks) log_message(LogLevel::kWarning, text);
  };
  CacheOptions opening;
  opening.mode = run.cache;
  opening.folder =
      run.cache_dir.empty() ? run_folder / "cache" : std::filesystem::path(run.cache_dir);
  opening.processes = local_processes();
  opening.say = say;
  if (options.model.task == Task::kClassify &&
      options.classification.augmentation.decode == data::CropDecoding::kFast) {
    say("decode fast: with a cache, images are decoded once, and exactly");
  }
  if (!training && !validation) {
    say(fmt::format("cache {}: the images of {} are in memory already", name_of(run.cache),
                    options.model.data));
  }
  ImageCaches caches;
  if (training) caches.training = open_image_cache(*std::move(training), opening);
  if (caches.training) opening.promised = caches.training->promised_memory();
  if (validation) caches.validation = open_image_cache(*std::move(validation), opening);
  return caches;
}

std::string cached_split(const TrainOptions& options, const char* split) {
  const ModelOptions& model = options.model;
  std::string name = model.data;
  if (name.empty()) name = options.coco.train_images;
  if (model.val_fraction > 0) {
    return fmt::format("{} ({}, val-fraction {}, seed {})", name, split, model.val_fraction,
                       options.run.seed);
  }
  return fmt::format("{} ({})", name, split);
}

std::unique_ptr<data::BatchSource> training_source(const data::DataSource& split,
                                                   const Preprocessing& preprocessing,
                                                   const TrainOptions& options,
                                                   const dist::World& world,
                                                   std::shared_ptr<const ImageCache> cache) {
  data::Transform transform = transform_to(preprocessing);
  transform.encoded = true;  // only the crop is decoded
  transform.cache = std::move(cache);
  data::Augmentation augmentation = options.classification.augmentation;
  // What is trained must not depend on what finds room.
  if (options.run.cache != CacheMode::kOff) augmentation.decode = data::CropDecoding::kExact;
  transform.apply = [preprocessing, augmentation](const Sample& sample, data::Random& random,
                                                  std::span<float> out) {
    data::transform_for_training(sample, preprocessing, augmentation, random, out);
  };
  return split.batches(transform, {.batch_size = options.schedule.batch_size,
                                   .workers = loader_workers(options),
                                   .seed = options.run.seed,
                                   .rank = world.rank(),
                                   .world = world.size(),
                                   .order = data::Order::kShuffled,
                                   .remainder = data::Remainder::kDrop});
}

std::unique_ptr<data::BatchSource> two_sources(std::unique_ptr<data::BatchSource> early,
                                               std::unique_ptr<data::BatchSource> late,
                                               int64_t epochs) {
  require(early->batches() == late->batches(), ErrorCode::kMismatch,
          "{} batches per epoch at first, {} later", early->batches(), late->batches());
  return std::make_unique<TwoSources>(std::move(early), std::move(late), epochs);
}

std::unique_ptr<data::BatchSource> evaluation_source(const data::DataSource& split,
                                                     const Preprocessing& preprocessing,
                                                     int batch_size, int workers,
                                                     const dist::World& world,
                                                     std::shared_ptr<const ImageCache> cache) {
  data::Transform transform = transform_to(preprocessing);
  transform.cache = std::move(cache);
  transform.apply = [preprocessing](const Sample& sample, data::Random&, std::span<float> out) {
    if (sample.view.pixels == nullptr) {
      return data::transform_for_evaluation(sample.image, preprocessing, out);
    }
    data::transform_for_evaluation(copy_of(sample.view), preprocessing, out);
  };
  return split.batches(
      transform,
      {.batch_size = batch_size, .workers = workers, .rank = world.rank(), .world = world.size()});
}

}  // namespace asmlp::train
