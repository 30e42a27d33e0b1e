// The loop of every evaluation: a network over one epoch of a source, on any number of processes.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::data {

struct EvaluateOptions {
  // Called after each batch with the images this process has done; returning false stops the
  // evaluation, in all processes.
  std::function<bool(int64_t images)> progress = {};
  std::function<void(const std::string& bad)> on_bad = {};  // each thing that could not be read
};

// What every evaluation tells, of all processes together.
struct Evaluated {
  int64_t images = 0;
  int64_t bad_samples = 0;  // that could not be read: not among the images
  double seconds = 0;       // of wall-clock time
};

// Gives every batch that has images to `add`, without gradients and with the model in evaluation
// mode, and leaves the model in the mode it was in, also when `add` throws. Collective; the result
// is the same everywhere but for the seconds. Nothing when `progress` stopped it somewhere.
std::optional<Evaluated> evaluate_batches(torch::nn::Module& model, const BatchSource& source,
                                          dist::World& world, const EvaluateOptions& options,
                                          const std::function<void(const Batch&)>& add);

// The sums of a meter over all processes (collective).
std::vector<double> sums_of_all(dist::World& world, std::span<const double> mine);

}  // namespace asmlp::data
