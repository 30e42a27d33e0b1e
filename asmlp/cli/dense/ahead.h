// Things that are made by threads ahead of their consumer.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace asmlp::cli {

// make(0), make(1), ..., make(count - 1), taken in this order by one consumer. Up to `workers`
// threads make them, and at most workers + 1 are there at a time or being made; without workers
// next() makes them. Threads that the system refuses are missing, no error.
template <typename T>
class Ahead {
 public:
  // `make` is called by several threads at once.
  Ahead(int64_t count, int workers, std::function<T(int64_t index)> make)
      : count_(count), most_(workers + 1), make_(std::move(make)) {
    try {
      for (int i = 0; i < workers && i < count; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
    }
  }
  ~Ahead() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    took_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  // The next one; nothing after the last. Rethrows what its make() has thrown.
  std::optional<T> next() {
    if (threads_.empty()) return taken_ < count_ ? std::optional<T>(make_(taken_++)) : std::nullopt;
    std::unique_lock lock(mutex_);
    if (taken_ == count_) return std::nullopt;
    made_.wait(lock, [&] { return !slots_.empty() && slots_.front().done; });
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++taken_;
    lock.unlock();
    took_.notify_one();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.value);
  }

 private:
  struct Slot {
    bool done = false;
    std::optional<T> value;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      took_.wait(lock,
                 [&] { return stop_ || started_ == count_ || started_ - taken_ < int64_t{most_}; });
      if (stop_ || started_ == count_) return;
      const int64_t index = started_++;
      slots_.emplace_back();
      lock.unlock();
      Slot slot;
      try {
        slot.value = make_(index);
      } catch (...) {
        slot.error = std::current_exception();
      }
      slot.done = true;
      lock.lock();
      slots_[static_cast<size_t>(index - taken_)] = std::move(slot);
      made_.notify_one();
    }
  }

  const int64_t count_;
  const int most_;
  const std::function<T(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable made_, took_;
  std::deque<Slot> slots_;  // of the indices taken_ .. started_ - 1
  int64_t started_ = 0, taken_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace asmlp::cli
