// Batches of a data set, made ahead of time by worker threads, always in the same order.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/random.h"

namespace asmlp::data {

struct Batch {
  int64_t index = 0;      // position in the epoch, from 0
  torch::Tensor images;   // n x channels x height x width, fp32
  torch::Tensor targets;  // n, int64
};

// Turns a decoded sample into channels * height * width floats. Called from several threads at
// once.
using Transform = std::function<void(const Sample&, Random&, std::span<float>)>;

struct LoaderOptions {
  int batch_size = 128;
  int workers = 2;         // threads that make batches ahead; 0 makes them in next()
  bool shuffle = false;    // order drawn from (seed, epoch) by Fisher and Yates' method
  bool drop_last = false;  // leaves out a last batch that is not full
  uint64_t seed = 0;
  int channels = 3;
  int height = 224;
  int width = 224;
};

// The batches of one epoch. One consumer. Destroying it early stops the workers.
class BatchStream {
 public:
  ~BatchStream();
  // The next batch, in order; nothing after the last. Rethrows what a worker threw when its batch
  // is due.
  std::optional<Batch> next();

 private:
  friend class Loader;
  struct State;
  explicit BatchStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Loader {
 public:
  // The data set must outlive the loader and its streams. Error(kInvalidArgument) for a batch size
  // or a number of workers outside 1..65536 and 0..256, and for a set without one batch.
  Loader(const Dataset& dataset, Transform transform, LoaderOptions options);

  int64_t batches() const;  // per epoch
  int64_t images() const;   // per epoch, without what drop_last leaves out

  // Indices into the data set in the order of the epoch (all of them, drop_last aside).
  std::vector<int64_t> order(int64_t epoch) const;

  // The batches [first_batch, batches()) of the epoch: to continue a run in the middle of an epoch.
  BatchStream start(int64_t epoch, int64_t first_batch = 0) const;

 private:
  const Dataset* dataset_;
  Transform transform_;
  LoaderOptions options_;
};

}  // namespace asmlp::data
