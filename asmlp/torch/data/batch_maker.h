// What the two kinds of BatchSource share: worker threads that make batches ahead of time and hand
// them over in order, and the filling of a batch in which some samples cannot be read.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/batch_source.h"

namespace asmlp::data {

// The messages that a BatchSource has reported already; its streams share it.
class Reported {
 public:
  // True the first time.
  bool add(const std::string& message);

 private:
  std::mutex mutex_;
  std::set<std::string> messages_;
};

struct MadeBatch {
  Batch batch;
  std::vector<Unreadable> bad;
};

// Makes the batches of one epoch on one rank.
class BatchMaker {
 public:
  using Task = std::function<MadeBatch()>;
  virtual ~BatchMaker() = default;
  // The first step of batch `index`, which needs the order: called for one index after the other,
  // by one thread at a time. The task it returns, the expensive step, runs in parallel with others.
  // An empty task ends the epoch.
  virtual Task take(int64_t index) = 0;

  // The batches [first, end) of `maker`, made by `workers` threads, or by those of them that the
  // system gives; without any, by the thread that takes them.
  static BatchStream start(std::unique_ptr<BatchMaker> maker, std::shared_ptr<Reported> reported,
                           int workers, int64_t first, int64_t end);
};

// One sample of a batch: reads and augments it (an Error when it cannot be used).
using Slot = std::function<TensorSample()>;

// Makes a batch of `slots`. A slot that throws Error goes to `bad`; its place is left out, or, with
// a `replacement`, filled by what replacement(place, attempt) names for attempt = 0, 1, ... while
// it names a slot. Error(kBadFormat) when nothing fills it, kMismatch for images of different sizes
// to stack.
MadeBatch fill_batch(int64_t index, const std::vector<Slot>& slots,
                     const std::function<Slot(size_t place, int attempt)>& replacement,
                     Collation collation);

}  // namespace asmlp::data
