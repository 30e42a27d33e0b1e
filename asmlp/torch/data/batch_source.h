// Where the batches of a run come from, whatever the data's form: an IDX file or an ImageFolder
// (loader.h), tar shards (shard_loader.h), both opened by data_source.h, or images of any size with
// their objects or label maps (item_loader.h).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/sample.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

struct Batch {
  int64_t index = 0;     // position in the epoch on this rank, from 0
  torch::Tensor images;  // n x channels x height x width, fp32
  // n, int64, of a classifier; n is 0 when no image of an evaluation batch could be read. n x
  // height x width, uint8, of a segmentor in training. Undefined otherwise.
  torch::Tensor targets;
  std::vector<ImageInfo> infos;  // n, of detectors and segmentors (item_loader.h)
  // What could not be read ("<file>: <why>"), in the order of the epoch. A BatchSource names a
  // thing once in its life, however often it meets it.
  std::vector<std::string> bad;
  // The samples lost with `bad`: one for an image, the missing ones for a damaged shard.
  int64_t bad_samples = 0;
};

// Turns a sample into channels * height * width floats. Called from several threads at once. An
// Error says that the sample cannot be used: it is then treated as one that cannot be read.
using Transform = std::function<void(const Sample&, Random&, std::span<float>)>;

struct LoaderOptions {
  int batch_size = 128;  // of this rank
  int workers = 2;       // threads that make batches ahead; 0 makes them in next()
  bool shuffle = false;  // an order drawn from (seed, epoch)
  // Training: every batch is full and every rank has the same number of them. What is left over at
  // the end is left out, and a sample that cannot be read is replaced by another one. Otherwise
  // (evaluation) every sample comes exactly once over the ranks and one that cannot be read is left
  // out.
  bool drop_last = false;
  uint64_t seed = 0;
  int channels = 3;
  int height = 224;
  int width = 224;
  int rank = 0;   // of this process, in [0, world)
  int world = 1;  // processes that share the epoch
  // JPEGs reach the transform as Sample::encoded; otherwise every sample has been decoded.
  bool encoded = false;
  int shuffle_buffer = 4096;  // tar shards: encoded samples among which the next one is drawn
};

// Error(kInvalidArgument) naming the value that is outside its range: batch-size 1..65536, workers
// 0..256, rank 0..world - 1, shuffle-buffer 1..2^24.
void check_options(const LoaderOptions& options);

// The batches of one epoch. One consumer. Destroying it early stops the workers.
class BatchStream {
 public:
  BatchStream(BatchStream&&) noexcept;
  ~BatchStream();
  // The next batch, in order; nothing after the last. Rethrows what a worker threw when its batch
  // is due.
  std::optional<Batch> next();

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
  // Per epoch on this rank. With drop_last the same on every rank and in every epoch.
  virtual int64_t batches() const = 0;
  // Per epoch over all ranks, without what drop_last leaves out.
  virtual int64_t images() const = 0;
  // The batches [first_batch, batches()) of the epoch: to continue a run in the middle of an epoch.
  // What is skipped is not decoded. The batches are a function of (seed, epoch, rank, world) and
  // the data; the number of workers changes nothing.
  virtual BatchStream start(int64_t epoch, int64_t first_batch = 0) const = 0;
};

}  // namespace asmlp::data
