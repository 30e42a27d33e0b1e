// Loops that may throw, on somebody else's threads.
#pragma once

#include <exception>
#include <mutex>

#include "asmlp/detection/parallel.h"

namespace asmlp::segment {

// parallel(tasks, body); what a body throws (lack of memory) is thrown here, when all have ended.
template <typename Body>
void run_tasks(const detect::ParallelFor& parallel, int64_t tasks, const Body& body) {
  std::mutex mutex;
  std::exception_ptr thrown;
  const std::function<void(int64_t)> guarded = [&](int64_t task) {
    try {
      body(task);
    } catch (...) {
      const std::lock_guard lock(mutex);
      thrown = std::current_exception();
    }
  };
  parallel(tasks, guarded);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace asmlp::segment
