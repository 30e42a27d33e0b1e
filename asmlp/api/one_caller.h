// An engine serves one caller at a time: others are told so, and so is the child of a fork.
#pragma once

#include <atomic>

#include "asmlp/core/error.h"
#include "asmlp/core/fork.h"

namespace asmlp {

// Who is in a call of an object: one writer, or any number of readers. Never waits.
class OneCaller {
 public:
  OneCaller() = default;
  OneCaller(const OneCaller&) = delete;
  OneCaller& operator=(const OneCaller&) = delete;

  // While it lives, its caller alone uses the object, and may change it. Error(kBusy) when another
  // thread does, kUnsupported in a child of the process that made the object.
  class Writing {
   public:
    explicit Writing(OneCaller& object) : users_(object.users_) {
      object.check_process();
      int nobody = 0;
      if (!users_.compare_exchange_strong(nobody, -1, std::memory_order_acquire)) refuse();
    }
    ~Writing() { users_.store(0, std::memory_order_release); }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    std::atomic<int>& users_;
  };

  // While it lives, nobody changes the object. The same errors.
  class Reading {
   public:
    explicit Reading(const OneCaller& object) : users_(object.users_) {
      object.check_process();
      int readers = users_.load(std::memory_order_relaxed);
      do {
        if (readers < 0) refuse();
      } while (!users_.compare_exchange_weak(readers, readers + 1, std::memory_order_acquire));
    }
    ~Reading() { users_.fetch_sub(1, std::memory_order_release); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    std::atomic<int>& users_;
  };

  // True in a child that was forked while another thread was in a call: the object may be half
  // changed, and stays so.
  bool left_half_done() const {
    return generation_ != fork_generation() && users_.load(std::memory_order_relaxed) != 0;
  }

 private:
  void check_process() const {
    require(generation_ == fork_generation(), ErrorCode::kUnsupported,
            "this engine was made before fork(), and its threads stayed in the parent; make an "
            "engine of the same model in the child");
  }
  [[noreturn]] static void refuse() {
    fail(ErrorCode::kBusy,
         "another thread is in a call of this engine; make an engine for each thread, from the "
         "same model");
  }

  const unsigned generation_ = fork_generation();
  mutable std::atomic<int> users_{0};
};

}  // namespace asmlp
