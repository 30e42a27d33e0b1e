#include "asmlp/torch/ops/runtime.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp::nn::runtime_test {
namespace {

TEST(Runtime, SetsTheThreadsOfLibTorch) {
  EXPECT_EQ(configure_runtime(), available_cores());
  EXPECT_EQ(at::get_num_threads(), available_cores());
  EXPECT_EQ(configure_runtime(1), 1);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_THROW(configure_runtime(-1), Error);
  EXPECT_THROW(configure_runtime(257), Error);
  EXPECT_EQ(configure_runtime(0), available_cores());
}

// at::parallel_for comes from a header: compiled without OpenMP it would quietly be a plain loop.
TEST(Runtime, OurLoopsUseTheThreadsOfLibTorch) {
  configure_runtime(2);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(threads.size(), 2);
  configure_runtime(0);
}

}  // namespace
}  // namespace asmlp::nn::runtime_test
