#include "asmlp/torch/data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::data {

struct BatchStream::State {
  // What a worker made: a batch, or what it threw.
  struct Made {
    Batch batch;
    std::exception_ptr error;
  };

  const Dataset* dataset;
  Transform transform;
  LoaderOptions options;
  int64_t epoch;
  int64_t end;  // number of batches of the epoch
  std::vector<int64_t> order;

  std::mutex mutex;
  std::condition_variable made_one, took_one;
  std::map<int64_t, Made> made;  // waiting for the consumer, by batch index
  int64_t next_to_make = 0;
  int64_t next_to_take = 0;
  bool stop = false;
  std::vector<std::thread> workers;

  // Stops and joins the workers, also when the start of one of them failed.
  ~State() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    took_one.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  // Batches in flight or waiting: bounds the memory.
  int64_t depth() const { return 2 * options.workers + 1; }

  Batch make(int64_t index) const {
    const int64_t first = index * options.batch_size;
    const int64_t count =
        std::min<int64_t>(options.batch_size, static_cast<int64_t>(order.size()) - first);
    const size_t image_size = size_t(options.channels) * options.height * options.width;
    Batch batch;
    batch.index = index;
    batch.images = torch::empty({count, options.channels, options.height, options.width});
    batch.targets = torch::empty({count}, torch::kInt64);
    float* images = batch.images.data_ptr<float>();
    int64_t* targets = batch.targets.data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t sample_index = order[first + i];
      const Sample sample = dataset->get(sample_index);
      Random random(
          derive_seed(options.seed, {kSeedSample, uint64_t(epoch), uint64_t(sample_index)}));
      transform(sample, random, {images + i * image_size, image_size});
      targets[i] = sample.target;
    }
    return batch;
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      took_one.wait(lock, [&] {
        return stop || next_to_make >= end || next_to_make < next_to_take + depth();
      });
      if (stop || next_to_make >= end) return;
      const int64_t index = next_to_make++;
      lock.unlock();
      Made result;
      try {
        result.batch = make(index);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      made.emplace(index, std::move(result));
      made_one.notify_one();
    }
  }
};

BatchStream::BatchStream(std::unique_ptr<State> state) : state_(std::move(state)) {
  for (int i = 0; i < state_->options.workers; ++i) {
    state_->workers.emplace_back([s = state_.get()] { s->work(); });
  }
}

BatchStream::~BatchStream() = default;

std::optional<Batch> BatchStream::next() {
  State& s = *state_;
  if (s.next_to_take >= s.end) return std::nullopt;
  if (s.workers.empty()) return s.make(s.next_to_take++);
  std::unique_lock lock(s.mutex);
  s.made_one.wait(lock, [&] { return s.made.contains(s.next_to_take); });
  auto node = s.made.extract(s.next_to_take);
  ++s.next_to_take;
  lock.unlock();
  s.took_one.notify_all();
  if (node.mapped().error) std::rethrow_exception(node.mapped().error);
  return std::move(node.mapped().batch);
}

Loader::Loader(const Dataset& dataset, Transform transform, LoaderOptions options)
    : dataset_(&dataset), transform_(std::move(transform)), options_(options) {
  require(options.batch_size >= 1 && options.batch_size <= 65536, ErrorCode::kInvalidArgument,
          "batch-size {}: must be 1..65536", options.batch_size);
  require(options.workers >= 0 && options.workers <= 256, ErrorCode::kInvalidArgument,
          "workers {}: must be 0..256", options.workers);
  require(batches() >= 1, ErrorCode::kInvalidArgument,
          "the data set has {} images, fewer than one batch of {}: choose a smaller batch-size",
          dataset.size(), options.batch_size);
}

int64_t Loader::batches() const {
  const int64_t n = dataset_->size(), b = options_.batch_size;
  return options_.drop_last ? n / b : (n + b - 1) / b;
}

int64_t Loader::images() const {
  return options_.drop_last ? batches() * options_.batch_size : dataset_->size();
}

std::vector<int64_t> Loader::order(int64_t epoch) const {
  std::vector<int64_t> indices(dataset_->size());
  std::iota(indices.begin(), indices.end(), int64_t{0});
  if (options_.shuffle) {
    Random random(derive_seed(options_.seed, {kSeedOrder, uint64_t(epoch)}));
    for (int64_t i = static_cast<int64_t>(indices.size()) - 1; i > 0; --i) {
      std::swap(indices[i], indices[random.below(i + 1)]);
    }
  }
  return indices;
}

BatchStream Loader::start(int64_t epoch, int64_t first_batch) const {
  auto state = std::make_unique<BatchStream::State>();
  state->dataset = dataset_;
  state->transform = transform_;
  state->options = options_;
  state->epoch = epoch;
  state->end = batches();
  state->order = order(epoch);
  state->next_to_make = state->next_to_take = first_batch;
  return BatchStream(std::move(state));
}

}  // namespace asmlp::data
