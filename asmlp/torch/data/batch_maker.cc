#include "asmlp/torch/data/batch_maker.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/torch/ops/runtime.h"

namespace asmlp::data {
namespace {

constexpr std::chrono::milliseconds kLook{100};  // whether to give up

constexpr uint8_t kNoClass = 255;

// All of one type in one tensor as large as the largest, `fill` around each.
torch::Tensor stack_padded(const std::vector<torch::Tensor>& tensors, double fill) {
  int64_t height = 0, width = 0;
  for (const torch::Tensor& t : tensors) {
    height = std::max(height, t.size(-2));
    width = std::max(width, t.size(-1));
  }
  std::vector<int64_t> shape = tensors.front().sizes().vec();
  shape[shape.size() - 2] = height;
  shape[shape.size() - 1] = width;
  shape.insert(shape.begin(), std::ssize(tensors));
  const torch::Tensor out = torch::full(shape, fill, tensors.front().options());
  for (size_t i = 0; i < tensors.size(); ++i) {
    out[int64_t(i)]
        .narrow(-2, 0, tensors[i].size(-2))
        .narrow(-1, 0, tensors[i].size(-1))
        .copy_(tensors[i]);
  }
  return out;
}

// Collects the samples of a batch of `places` at most.
class Collator {
 public:
  Collator(Collation collation, int64_t places) : collation_(collation), places_(places) {}

  void add(TensorSample sample) {
    if (sample.target.defined()) targets_.push_back(std::move(sample.target));
    if (collation_ == Collation::kStack) return stack(sample.image.contiguous());
    images_.push_back(std::move(sample.image));
    batch_.infos.push_back(std::move(sample.info));
  }

  Batch finish() {
    if (collation_ == Collation::kStack) {
      batch_.images = filled_ > 0 ? batch_.images.narrow(0, 0, filled_) : torch::empty({0});
      batch_.targets = filled_ > 0 ? torch::stack(targets_) : torch::empty({0}, torch::kInt64);
    } else if (!images_.empty()) {
      batch_.images = stack_padded(images_, 0);
      if (!targets_.empty()) batch_.targets = stack_padded(targets_, kNoClass);
    }
    return std::move(batch_);
  }

 private:
  // At once into its place: samples of one size need not wait for the last one. (memcpy, because
  // LibTorch's copy_ would start threads of its own in every worker.)
  void stack(const torch::Tensor& image) {
    if (filled_ == 0) {
      std::vector<int64_t> shape = image.sizes().vec();
      shape.insert(shape.begin(), places_);
      batch_.images = torch::empty(shape, image.options());
    }
    require(image.sizes() == batch_.images.sizes().slice(1), ErrorCode::kMismatch,
            "an image of {} elements in a batch of others of {}: to stack, all must have one size",
            image.numel(), batch_.images.numel() / places_);
    std::memcpy(static_cast<char*>(batch_.images.data_ptr()) + filled_++ * image.nbytes(),
                image.data_ptr(), image.nbytes());
  }

  Collation collation_;
  int64_t places_, filled_ = 0;
  Batch batch_;
  std::vector<torch::Tensor> images_, targets_;
};

}  // namespace

void check_options(const LoaderOptions& options) {
  const auto check = [](const char* name, int value, int low, int high) {
    require(value >= low && value <= high, ErrorCode::kInvalidArgument, "{} {}: must be {}..{}",
            name, value, low, high);
  };
  check("batch-size", options.batch_size, 1, 65536);
  check("workers", options.workers, 0, 256);
  check("world size", options.world, 1, 1 << 20);
  check("rank", options.rank, 0, options.world - 1);
  check("shuffle-buffer", options.shuffle_buffer, 1, 1 << 24);
  require(options.batches_per_epoch >= 0, ErrorCode::kInvalidArgument,
          "batches per epoch {}: must not be negative", options.batches_per_epoch);
  require(
      options.training() || (options.order != Order::kGrouped && options.batches_per_epoch == 0),
      ErrorCode::kInvalidArgument,
      "groups and epochs of a fixed length are for training, which drops or repeats the "
      "remainder");
}

bool Reported::add(const std::string& message) {
  std::lock_guard lock(mutex_);
  return messages_.insert(message).second;
}

struct BatchStream::State {
  // What a worker made: a batch, or what it threw, or neither at the end of the epoch.
  struct Made {
    std::optional<MadeBatch> batch;
    std::exception_ptr error;
    bool last = false;  // the order ends here: nothing is made after it
  };

  std::unique_ptr<BatchMaker> maker;
  std::shared_ptr<Reported> reported;
  int64_t end = 0;      // batches of the epoch
  int64_t workers = 0;  // wanted

  std::mutex taking;  // held for the ordered step; always locked before `mutex`
  std::mutex mutex;   // guards what follows
  std::condition_variable made_one, took_one;
  std::vector<std::optional<Made>> made;  // waiting for the consumer; batch i at i % depth()
  int64_t next_to_make = 0;
  int64_t next_to_take = 0;
  bool stop = false;
  bool ended = false;    // the consumer's: it has taken the last one
  bool gave_up = false;  // the consumer's: it did not wait for the next one
  std::vector<std::thread> threads;

  // Stops and joins the workers, also when the start of one of them failed.
  ~State() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    took_one.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  // Batches in flight or waiting: bounds the memory.
  int64_t depth() const { return 2 * workers + 1; }
  std::optional<Made>& place_of(int64_t index) {
    return made[static_cast<size_t>(index % depth())];
  }

  // The ordered step of the next batch; false when there is none.
  bool take(int64_t& index, BatchMaker::Task& task, Made& result) {
    std::lock_guard order(taking);
    {
      std::unique_lock lock(mutex);
      took_one.wait(lock, [&] {
        return stop || next_to_make >= end || next_to_make < next_to_take + depth();
      });
      if (stop || next_to_make >= end) return false;
      index = next_to_make++;
    }
    try {
      task = maker->take(index);
    } catch (...) {
      result.error = std::current_exception();
    }
    if (!task) {
      result.last = true;
      std::lock_guard lock(mutex);
      next_to_make = end;
    }
    return true;
  }

  void work() {
    nn::keep_to_one_thread();
    while (true) {
      int64_t index = 0;
      BatchMaker::Task task;
      Made result;
      if (!take(index, task, result)) return;
      try {
        if (task) result.batch = task();
      } catch (...) {
        result.error = std::current_exception();
      }
      std::lock_guard lock(mutex);
      place_of(index) = std::move(result);
      made_one.notify_one();
    }
  }

  Made make_here() {
    const BatchMaker::Task task = maker->take(next_to_take++);
    if (!task) return {std::nullopt, nullptr, true};
    return {task(), nullptr, false};
  }

  // Nothing once it gives up.
  std::optional<Made> wait_for_next(const std::function<bool()>& give_up) {
    std::unique_lock lock(mutex);
    std::optional<Made>& place = place_of(next_to_take);
    const auto there = [&] { return place.has_value(); };
    while (give_up ? !made_one.wait_for(lock, kLook, there) : (made_one.wait(lock, there), false)) {
      if (give_up()) return std::nullopt;
    }
    Made next = std::move(*place);
    place.reset();
    ++next_to_take;
    lock.unlock();
    took_one.notify_all();
    return next;
  }
};

BatchStream::BatchStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
BatchStream::BatchStream(BatchStream&&) noexcept = default;
BatchStream::~BatchStream() = default;

std::optional<Batch> BatchStream::next() { return next(nullptr); }

bool BatchStream::gave_up() const { return state_->gave_up; }

void BatchStream::leave_behind() { static_cast<void>(state_.release()); }

std::optional<Batch> BatchStream::next(const std::function<bool()>& give_up) {
  State& s = *state_;
  if (s.ended || s.next_to_take >= s.end) return std::nullopt;
  State::Made made;
  if (s.threads.empty()) {
    made = s.make_here();
  } else {
    std::optional<State::Made> waited = s.wait_for_next(give_up);
    s.gave_up = !waited;
    if (!waited) return std::nullopt;
    made = std::move(*waited);
  }
  s.ended = made.last;
  if (made.error) std::rethrow_exception(made.error);
  if (!made.batch) return std::nullopt;
  Batch& batch = made.batch->batch;
  for (Unreadable& bad : made.batch->bad) {
    if (!s.reported->add(bad.message)) continue;
    batch.bad.push_back(std::move(bad.message));
    batch.bad_samples += bad.samples;
  }
  return std::move(batch);
}

BatchStream BatchMaker::start(std::unique_ptr<BatchMaker> maker, std::shared_ptr<Reported> reported,
                              int workers, int64_t first, int64_t end) {
  auto state = std::make_unique<BatchStream::State>();
  state->maker = std::move(maker);
  state->reported = std::move(reported);
  state->end = end;
  state->workers = workers;
  state->next_to_make = state->next_to_take = first;
  state->made.resize(static_cast<size_t>(state->depth()));
  try {
    state->threads.reserve(static_cast<size_t>(workers));
    for (int i = 0; i < workers; ++i) {
      state->threads.emplace_back([s = state.get()] { s->work(); });
    }
  } catch (const std::system_error&) {  // those that have started do the work, or next() does
    note_fewer_threads(static_cast<int>(state->threads.size()), workers);
  }
  return BatchStream(std::move(state));
}

MadeBatch fill_batch(int64_t index, const std::vector<Slot>& slots,
                     const std::function<Slot(size_t place, int attempt)>& replacement,
                     Collation collation) {
  MadeBatch made;
  Collator collator(collation, std::ssize(slots));
  const auto fill = [&](const Slot& slot) {
    TensorSample sample;
    try {
      sample = slot();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      made.bad.push_back({error.what()});
      return false;
    }
    collator.add(std::move(sample));
    return true;
  };
  for (size_t place = 0; place < slots.size(); ++place) {
    bool done = fill(slots[place]);
    for (int attempt = 0; !done && replacement; ++attempt) {
      const Slot other = replacement(place, attempt);
      require(bool{other}, ErrorCode::kBadFormat,
              "no sample that can be read was found in the place of a bad one ({} tried, the last: "
              "{}): the data is damaged, or none of it is what the file names promise",
              attempt + 1, made.bad.back().message);
      done = fill(other);
    }
  }
  made.batch = collator.finish();
  made.batch.index = index;
  return made;
}

}  // namespace asmlp::data
