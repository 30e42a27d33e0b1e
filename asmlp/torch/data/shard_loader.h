// Batches of tar shards, which are read from beginning to end.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "asmlp/dataset/shards/shards.h"
#include "asmlp/torch/data/batch_maker.h"
#include "asmlp/torch/data/data_source.h"

namespace asmlp::data {

// One of the workers at a time reads the rank's shards in their order, the others decode: the
// number of workers has nothing to do with the number of shards, nor with the order of the samples.
//
// Training: the order of the shards is drawn from (seed, epoch), and rank r reads the shards r,
// r + world, r + 2 world, ... of it through a buffer of `shuffle_buffer` encoded samples, from
// which the next one is drawn. Every rank makes floor(samples / (batch_size * world)) batches: one
// whose shards hold fewer samples begins again with its first shard; of one whose shards hold more,
// the last are left out of this epoch. (With shards of equal size whose number is a multiple of
// `world` neither happens, but for what a last batch lacks.)
//
// Evaluation: rank r reads the shards r, r + world, ... in the order of their names, to their ends.
// A rank may have no shard. More or fewer batches come than batches() says when the shards hold
// other numbers of samples than their index says.
//
// A continued epoch reads what it skips, because the buffer's content depends on it, but decodes
// nothing of it.
class ShardLoader final : public BatchSource {
 public:
  // The set must outlive the loader. Errors: check_options', and kInvalidArgument for groups,
  // kRepeat and epochs of a fixed length, which shards do not have, and in training for fewer
  // samples than a batch for each rank, or fewer shards than ranks.
  // Pictures are decoded by `decoding`.
  ShardLoader(const ShardSet& set, Transform transform, LoaderOptions options,
              const DecodeOptions& decoding = {});

  int64_t batches() const override;
  int64_t images() const override;
  BatchStream start(int64_t epoch, int64_t first_batch = 0) const override;

  // The shards of this rank (indices into the set) in the order in which the epoch reads them.
  std::vector<int64_t> shards(int64_t epoch) const;

  // Samples of the buffer that stand by to replace those of a batch that cannot be decoded.
  static constexpr int kSpares = 16;

 private:
  class Maker;
  const ShardSet* set_;
  Transform transform_;
  LoaderOptions options_;
  DecodeOptions decoding_;
  std::vector<int64_t> first_;  // number of each shard's first sample
  std::shared_ptr<Reported> reported_ = std::make_shared<Reported>();
};

}  // namespace asmlp::data
