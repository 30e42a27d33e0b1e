// Threads for what has none of its own: those of an engine, LibTorch's, or the calling one.
#pragma once

#include <cstdint>
#include <functional>

namespace asmlp::detect {

// Calls body(task) for every task in [0, tasks), each once, in any order, perhaps at the same time.
// The bodies given to it here never throw, and std::ref() of them is all that is copied.
using ParallelFor =
    std::function<void(int64_t tasks, const std::function<void(int64_t task)>& body)>;

// One after the other, on the calling thread.
inline void run_in_turn(int64_t tasks, const std::function<void(int64_t task)>& body) {
  for (int64_t task = 0; task < tasks; ++task) body(task);
}

}  // namespace asmlp::detect
