// Parallel loops whose bodies allocate.
#pragma once

#include <exception>
#include <vector>

#include "asmlp/core/thread_pool.h"

namespace asmlp {

// pool.run(tasks, body(task)) for bodies that may throw, which those of pool.run must not. One
// exception of those thrown leaves when all threads are done; tasks may then have been left out.
template <typename Body>
void run_throwing(ThreadPool& pool, int tasks, const Body& body) {
  std::vector<std::exception_ptr> thrown(static_cast<size_t>(pool.size()));
  pool.run(tasks, [&](int task, int thread) {
    try {
      if (!thrown[static_cast<size_t>(thread)]) body(task);
    } catch (...) {
      thrown[static_cast<size_t>(thread)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

}  // namespace asmlp
