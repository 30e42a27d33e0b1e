// The batches of a run: which images, how augmented, which part of them is whose.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "asmlp/torch/data/data_source.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// Threads that load images in this process: the option, else one for each core that it has among
// the processes of this machine, 1 to 8.
int loader_workers(const TrainOptions& options);

// The caches of a run's images; null where none are kept.
struct ImageCaches {
  std::shared_ptr<const ImageCache> training, validation;
};

// Opens what the options ask for, the file below the run's folder unless they name another. Nothing
// is kept of images that are in memory anyway, which rank 0 says, as all that open_image_cache
// says.
ImageCaches open_caches(std::optional<CacheContents> training,
                        std::optional<CacheContents> validation, const TrainOptions& options,
                        const std::filesystem::path& run_folder, const dist::World& world);

// What a split is called in messages about its cache: "photos (training)". The split that is held
// out is another one for another fraction and seed.
std::string cached_split(const TrainOptions& options, const char* split);

// Shuffled and augmented, in full batches. The split must outlive the result. Where images are to
// be kept, what finds no room is decoded exactly, too.
std::unique_ptr<data::BatchSource> training_source(const data::DataSource& split,
                                                   const Preprocessing& preprocessing,
                                                   const TrainOptions& options,
                                                   const dist::World& world,
                                                   std::shared_ptr<const ImageCache> cache = {});

// The batches of `early` in the epochs below `epochs`, then those of `late`: two forms of the same
// images.
std::unique_ptr<data::BatchSource> two_sources(std::unique_ptr<data::BatchSource> early,
                                               std::unique_ptr<data::BatchSource> late,
                                               int64_t epochs);

// In order and without augmentation, each image once over the processes. The split must outlive
// the result.
std::unique_ptr<data::BatchSource> evaluation_source(const data::DataSource& split,
                                                     const Preprocessing& preprocessing,
                                                     int batch_size, int workers,
                                                     const dist::World& world,
                                                     std::shared_ptr<const ImageCache> cache = {});

}  // namespace asmlp::train
