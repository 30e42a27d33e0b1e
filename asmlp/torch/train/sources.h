// The batches of a run: which images, how augmented, which part of them is whose.
#pragma once

#include <memory>

#include "asmlp/torch/data/data_source.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/train/options.h"

namespace asmlp::train {

// Shuffled and augmented, in full batches. The split must outlive the result.
std::unique_ptr<data::BatchSource> training_source(const data::DataSource& split,
                                                   const Preprocessing& preprocessing,
                                                   const TrainOptions& options,
                                                   const dist::World& world);

// In order and without augmentation, each image once over the processes. The split must outlive
// the result.
std::unique_ptr<data::BatchSource> evaluation_source(const data::DataSource& split,
                                                     const Preprocessing& preprocessing,
                                                     int batch_size, int workers,
                                                     const dist::World& world);

}  // namespace asmlp::train
