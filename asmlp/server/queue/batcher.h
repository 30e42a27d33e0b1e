// A bounded queue in front of what computes in batches: requests wait briefly for company, and are
// refused when too many wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::server {

using Clock = std::chrono::steady_clock;

struct BatchLimits {
  int max_batch = 8;                           // items computed at once
  std::chrono::microseconds max_delay{2'000};  // that an item waits for others
  int max_queue = 64;                          // items that are accepted and not yet computed
  int workers = 1;                             // batches computed at the same time
};

// What the batcher says of an item that was computed.
struct Timing {
  double queue_seconds = 0;
  double compute_seconds = 0;  // of its batch
  int batch = 0;               // the items of that
};

// Item: what is computed and what comes out of it, in one; movable. A call of `run` computes a
// batch of up to max_batch items for which `together` is true of the first and each other. If it
// throws, the items of the batch are run again one by one, so that only those fail that cause it.
template <typename Item>
class Batcher {
 public:
  using Run = std::function<void(int worker, std::span<Item* const> batch)>;
  using Together = std::function<bool(const Item& first, const Item& other)>;
  using Observe = std::function<void(std::span<const Timing> items)>;  // of one batch

  // The items of one request. Results and errors are there when wait() has returned true.
  struct Job {
    std::vector<Item> items;
    std::vector<Timing> timings;
    std::vector<std::exception_ptr> errors;  // null of an item that succeeded

   private:
    friend class Batcher;
    size_t left = 0;
    std::condition_variable done;
  };

  // Room in the queue, taken before the work of preparing items, given back when unused.
  class Place {
   public:
    Place(Batcher& batcher, size_t items) : batcher_(&batcher), items_(items) {}
    Place(Place&& other) noexcept : batcher_(other.batcher_), items_(other.items_) {
      other.items_ = 0;
    }
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (items_ > 0) batcher_->give_back(items_);
    }

   private:
    friend class Batcher;
    Batcher* batcher_;
    size_t items_;
  };

  Batcher(const BatchLimits& limits, Run run, Together together, Observe observe)
      : limits_(limits),
        run_(std::move(run)),
        together_(std::move(together)),
        observe_(std::move(observe)) {
    for (int k = 0; k < limits.workers; ++k) workers_.emplace_back([this, k] { work(k); });
  }
  // Everything that was submitted is computed first.
  ~Batcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    arrived_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // Error(kTooLarge) for more items than ever fit, kBusy when the queue has no room for all of
  // them.
  Place reserve(size_t items) {
    const auto most = static_cast<size_t>(limits_.max_queue);
    require(items <= most, ErrorCode::kTooLarge,
            "a request of {} images; up to {} are queued (--max-queue)", items, most);
    const std::lock_guard lock(mutex_);
    require(accepted_ + items <= most, ErrorCode::kBusy,
            "the queue is full: {} images wait; try again later", accepted_);
    accepted_ += items;
    return Place(*this, items);
  }

  // Queues as many items as were reserved, or fewer: the other places are given back.
  std::shared_ptr<Job> submit(Place place, std::vector<Item> items) {
    require(items.size() <= place.items_, ErrorCode::kInvalidArgument,
            "{} items for {} reserved places", items.size(), place.items_);
    auto job = std::make_shared<Job>();
    job->left = items.size();
    job->timings.resize(items.size());
    job->errors.resize(items.size());
    job->items = std::move(items);
    {
      const std::lock_guard lock(mutex_);
      for (size_t i = 0; i < job->items.size(); ++i) queue_.push_back({job, i, Clock::now()});
      accepted_ -= place.items_ - job->items.size();
      place.items_ = 0;  // the others are given back one by one when they are done
    }
    arrived_.notify_all();
    return job;
  }

  // Waits until all items are done. False when that is not so at the deadline: then those that are
  // still queued are dropped, and the job must not be looked at any more.
  bool wait(const std::shared_ptr<Job>& job, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    if (job->done.wait_until(lock, deadline, [&] { return job->left == 0; })) return true;
    accepted_ -= std::erase_if(queue_, [&](const Entry& entry) { return entry.job == job; });
    return false;
  }

  // Items that are accepted and not yet computed.
  size_t accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
  }
  const BatchLimits& limits() const { return limits_; }

 private:
  struct Entry {
    std::shared_ptr<Job> job;
    size_t index;
    Clock::time_point queued;
    Item& item() const { return job->items[index]; }
  };

  static double seconds(Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
  }

  void give_back(size_t items) {
    const std::lock_guard lock(mutex_);
    accepted_ -= items;
  }

  // How many of the first max_batch items that go together there are.
  size_t company() const {
    const auto most = static_cast<size_t>(limits_.max_batch);
    size_t count = 0;
    for (const Entry& entry : queue_) {
      if (together_(queue_.front().item(), entry.item()) && ++count == most) break;
    }
    return count;
  }

  // The next batch; empty when there will be none any more.
  std::vector<Entry> take() {
    std::unique_lock lock(mutex_);
    const auto most = static_cast<size_t>(limits_.max_batch);
    for (;;) {
      arrived_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return {};
      const Clock::time_point due = queue_.front().queued + limits_.max_delay;
      if (stopping_ || company() == most || Clock::now() >= due) break;
      arrived_.wait_until(lock, due);  // another worker may be faster: look again
    }
    std::vector<Entry> batch{queue_.front()};
    queue_.pop_front();
    for (auto next = queue_.begin(); next != queue_.end() && batch.size() < most;) {
      if (together_(batch.front().item(), next->item())) {
        batch.push_back(std::move(*next));
        next = queue_.erase(next);
      } else {
        ++next;
      }
    }
    return batch;
  }

  std::exception_ptr run(int worker, std::span<Item* const> items) noexcept {
    try {
      run_(worker, items);
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  void compute(int worker, const std::vector<Entry>& batch) {
    const Clock::time_point start = Clock::now();
    std::vector<Item*> items;
    for (const Entry& entry : batch) items.push_back(&entry.item());
    std::vector<std::exception_ptr> errors(items.size(), run(worker, items));
    if (errors.front() != nullptr && items.size() > 1) {
      for (size_t i = 0; i < items.size(); ++i) errors[i] = run(worker, {&items[i], 1});
    }
    const double computed = seconds(Clock::now() - start);
    std::vector<Timing> timings;
    for (const Entry& entry : batch) {
      timings.push_back({seconds(start - entry.queued), computed, static_cast<int>(batch.size())});
    }
    if (observe_) observe_(timings);
    const std::lock_guard lock(mutex_);
    accepted_ -= batch.size();
    for (size_t i = 0; i < batch.size(); ++i) {
      Job& job = *batch[i].job;
      job.timings[batch[i].index] = timings[i];
      job.errors[batch[i].index] = errors[i];
      if (--job.left == 0) job.done.notify_all();
    }
  }

  void work(int worker) {
    for (;;) {
      const std::vector<Entry> batch = take();
      if (batch.empty()) return;
      compute(worker, batch);
    }
  }

  BatchLimits limits_;
  Run run_;
  Together together_;
  Observe observe_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Entry> queue_;
  size_t accepted_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace asmlp::server
