// Accuracy of a LibTorch model over a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/nn/classifier.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

struct Evaluation {
  double top1 = 0;  // percent
  double top5 = 0;  // percent
  double loss = 0;  // mean cross entropy, nats
  int64_t images = 0;
  int64_t bad_samples = 0;  // that could not be read: not among the images
  double seconds = 0;
};

// Runs the model in evaluation mode (and leaves it in the mode it was in) over one pass of the
// source: every process its part, the result is of all parts together and the same everywhere
// (collective). Nothing when `progress` stopped it somewhere.
std::optional<Evaluation> evaluate(nn::ClassifierImpl& model, const data::BatchSource& source,
                                   dist::World& world, const ValidationOptions& options = {});

}  // namespace asmlp::train
