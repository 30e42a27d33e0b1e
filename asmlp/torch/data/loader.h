// Batches of images with random access, made ahead of time by worker threads: of every task.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "asmlp/torch/data/batch_maker.h"
#include "asmlp/torch/data/batch_source.h"

namespace asmlp::data {

// The order of a pass over the samples is cut into blocks of batch_size; batch b of rank r is block
// b * world + r. So W ranks with batches of B see together, step by step, what one process with
// batches of W * B sees (which is also the order after a change of the number of ranks, at the same
// global batch). In an evaluation the ranks' numbers of batches may differ by one, and a rank may
// have none. The samples become a batch as the source's collation() says.
class Loader final : public BatchSource {
 public:
  // The source must outlive the loader. Errors: check_options', and kInvalidArgument for a source
  // without images, and in training when no group has one batch for each rank.
  Loader(const SampleSource& source, LoaderOptions options);
  // Of a source that belongs to the loader.
  Loader(std::unique_ptr<const SampleSource> source, LoaderOptions options);

  int64_t batches() const override;
  int64_t images() const override;
  BatchStream start(int64_t epoch, int64_t first_batch = 0) const override;

  // Indices into the source in the order of a pass, over all ranks. A pass is an epoch unless
  // batches_per_epoch is set.
  std::vector<int64_t> order(int64_t pass) const;

  // Samples tried in the place of one that cannot be read, before start()'s stream gives up.
  static constexpr int kMaxReplacements = 100;

 private:
  class Maker;
  int64_t batches_per_pass() const;

  std::unique_ptr<const SampleSource> owned_;
  const SampleSource* source_;
  LoaderOptions options_;
  std::vector<std::vector<int64_t>> groups_;  // indices of the images of each group
  std::shared_ptr<Reported> reported_ = std::make_shared<Reported>();
};

}  // namespace asmlp::data
