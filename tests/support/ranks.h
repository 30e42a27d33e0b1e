// Several processes of a run as threads of a test.
#pragma once

#include <ATen/Parallel.h>

#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "asmlp/torch/distributed/connect.h"

namespace asmlp::dist {

// body(world) in one thread per rank, each with its end of a real connection.
inline void run_ranks(int size, const std::function<void(World&)>& body) {
  const int port = free_port();
  std::vector<std::exception_ptr> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        at::set_num_threads(1);
        const auto world = connect({rank, size, rank, "127.0.0.1", port, "a test", size, ""});
        body(*world);
      } catch (...) {
        errors[static_cast<size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace asmlp::dist
