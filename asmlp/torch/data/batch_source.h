// Where the batches of a run come from, whatever the data's form: images with random access
// (loader.h) or tar shards (shard_loader.h).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/data/sample.h"

namespace asmlp::data {

struct Batch {
  int64_t index = 0;     // position in the epoch on this rank, from 0
  torch::Tensor images;  // n x channels x height x width, fp32
  // n, int64, of a classifier. n x height x width, uint8, of a segmentor in training. Undefined
  // otherwise.
  torch::Tensor targets;
  std::vector<ImageInfo> infos;  // n, of detectors and segmentors
  // What could not be read ("<file>: <why>"), in the order of the epoch. A BatchSource names a
  // thing once in its life, however often it meets it.
  std::vector<std::string> bad;
  // The samples lost with `bad`: one for an image, the missing ones for a damaged shard.
  int64_t bad_samples = 0;

  // n; 0 when no image of an evaluation's batch could be read (a padded batch then has no tensors).
  int64_t size() const { return images.defined() ? images.size(0) : 0; }
};

// The samples of an epoch, one after the other.
enum class Order {
  kSequential,  // as the source has them
  kShuffled,    // drawn from (seed, epoch); how a sample is augmented, from (seed, epoch, sample)
  // What all ranks see in one step is of one group (SampleSource::group), and the steps are
  // shuffled, drawn from (seed, pass); how a sample is augmented, from (seed, pass, place in the
  // order): one that comes twice is seen in two ways.
  kGrouped,
};

// What happens to the samples that do not fill a batch for every rank.
enum class Remainder {
  // Evaluation: every sample comes exactly once over the ranks, and one that cannot be read is left
  // out.
  kKeep,
  // Training, which has full batches, as many on every rank; a sample that cannot be read is
  // replaced by another one of its group.
  kDrop,    // left out of this epoch or pass
  kRepeat,  // filled up with samples that the group had already
};

struct LoaderOptions {
  int batch_size = 128;  // of this rank
  int workers = 2;       // threads that make batches ahead; 0 makes them in next()
  uint64_t seed = 0;
  int rank = 0;   // of this process, in [0, world)
  int world = 1;  // processes that share the epoch
  Order order = Order::kSequential;
  Remainder remainder = Remainder::kKeep;
  // Training: an epoch is this many batches of this rank, drawn from one pass over the samples
  // after the other; 0: an epoch is one pass.
  int64_t batches_per_epoch = 0;
  int shuffle_buffer = 4096;  // tar shards: encoded samples among which the next one is drawn

  bool training() const { return remainder != Remainder::kKeep; }
};

// Error(kInvalidArgument) naming the value that is outside its range: batch-size 1..65536, workers
// 0..256, rank 0..world - 1, shuffle-buffer 1..2^24; batches_per_epoch is not negative, and 0 in an
// evaluation, which has no groups either.
void check_options(const LoaderOptions& options);

// The batches of one epoch. One consumer. Destroying it early stops the workers.
class BatchStream {
 public:
  BatchStream(BatchStream&&) noexcept;
  ~BatchStream();
  // The next batch, in order; nothing after the last. Rethrows what a worker threw when its batch
  // is due.
  std::optional<Batch> next();
  // The same, but gives up waiting for workers when `give_up` (asked ten times a second) is true:
  // then there is no batch, and gave_up() is true.
  std::optional<Batch> next(const std::function<bool()>& give_up);
  bool gave_up() const;
  // For a process that is about to end although a worker hangs: neither stops nor waits for the
  // workers, which go on until then.
  void leave_behind();

 private:
  friend class BatchMaker;
  struct State;
  explicit BatchStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The images of a split in batches, epoch after epoch. Must outlive its streams.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // Per epoch on this rank. In training the same on every rank and in every epoch.
  virtual int64_t batches() const = 0;
  // Per epoch over all ranks, without what the remainder leaves out and with what it repeats.
  virtual int64_t images() const = 0;
  // The batches [first_batch, batches()) of the epoch: to continue a run in the middle of an epoch.
  // What is skipped is not decoded. The batches are a function of (seed, epoch, rank, world) and
  // the data; the number of workers changes nothing.
  virtual BatchStream start(int64_t epoch, int64_t first_batch = 0) const = 0;
};

}  // namespace asmlp::data
