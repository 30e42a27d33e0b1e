// A limit of what many requests hold together, in bytes or in pieces.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

namespace asmlp::server {

class Budget {
 public:
  explicit Budget(uint64_t total) : left_(total) {}

  // Gives back what it holds at its end.
  class Share {
   public:
    Share(Budget& budget, uint64_t amount) : budget_(&budget), amount_(amount) {}
    Share(Share&& other) noexcept : budget_(other.budget_), amount_(other.amount_) {
      other.amount_ = 0;
    }
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (amount_ > 0) budget_->give_back(amount_);
    }

   private:
    Budget* budget_;
    uint64_t amount_;
  };

  // Nothing when `amount` is not there before the deadline. An amount above the total never is.
  std::optional<Share> take(uint64_t amount, std::chrono::steady_clock::time_point deadline = {}) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_until(lock, deadline, [&] { return left_ >= amount; })) return std::nullopt;
    left_ -= amount;
    return Share(*this, amount);
  }

 private:
  void give_back(uint64_t amount) {
    {
      const std::lock_guard lock(mutex_);
      left_ += amount;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t left_;
};

}  // namespace asmlp::server
