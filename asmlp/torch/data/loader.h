// Batches of a data set with random access, made ahead of time by worker threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/batch_maker.h"
#include "asmlp/torch/data/batch_source.h"

namespace asmlp::data {

// The epoch's order is cut into blocks of batch_size; batch b of rank r is block b * world + r. So
// W ranks with batches of B see together, step by step, what one process with batches of W * B sees
// (which is also the order after a change of the number of ranks, at the same global batch). In an
// evaluation the ranks' numbers of batches may differ by one, and a rank may have none.
class Loader final : public BatchSource {
 public:
  // The data set must outlive the loader and its streams. Errors: check_options', and
  // kInvalidArgument for a set without one batch for each rank (with drop_last).
  Loader(const Dataset& dataset, Transform transform, LoaderOptions options);

  int64_t batches() const override;
  int64_t images() const override;
  BatchStream start(int64_t epoch, int64_t first_batch = 0) const override;

  // Indices into the data set in the order of the epoch, over all ranks (all of them, drop_last
  // aside): shuffled by Fisher and Yates' method.
  std::vector<int64_t> order(int64_t epoch) const;

  // Samples tried in the place of one that cannot be read, before start()'s stream gives up.
  static constexpr int kMaxReplacements = 100;

 private:
  class Maker;
  const Dataset* dataset_;
  Transform transform_;
  LoaderOptions options_;
  std::shared_ptr<Reported> reported_ = std::make_shared<Reported>();
};

}  // namespace asmlp::data
