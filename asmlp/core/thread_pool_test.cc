#include "asmlp/core/thread_pool.h"

#include <gtest/gtest.h>

#include <vector>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceForAnySizeAndCount) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    for (int round = 0; round < 200; ++round) {
      const int tasks = round % 23;
      std::vector<std::atomic<int>> runs(tasks);
      std::atomic<bool> thread_in_range{true};
      pool.run(tasks, [&](int task, int thread) {
        ++runs[task];
        if (thread < 0 || thread >= threads) thread_in_range = false;
      });
      for (const auto& count : runs) ASSERT_EQ(count, 1);
      ASSERT_TRUE(thread_in_range);
    }
  }
}

TEST(ThreadPool, ResultsAreVisibleAfterTheLoop) {
  ThreadPool pool(4);
  std::vector<int> values(1000);
  for (int round = 1; round < 50; ++round) {
    pool.run(1000, [&](int task, int) { values[task] += round; });
  }
  for (int value : values) ASSERT_EQ(value, 49 * 50 / 2);
}

TEST(ThreadPool, RefusesSenselessSizes) {
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
  EXPECT_GE(available_cores(), 1);
}

}  // namespace
}  // namespace asmlp
