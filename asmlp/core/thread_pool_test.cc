#include "asmlp/core/thread_pool.h"

#include <gtest/gtest.h>

#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::thread_pool_test {
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

TEST(ThreadPool, SharesTheCoresAmongThoseWhoRunLoops) {
  const int cores = available_cores();
  ThreadPool pool(cores);
  const auto threads_used = [&] {
    std::vector<std::atomic<int>> used(cores);
    pool.run(1000, [&](int, int thread) { used[thread] = 1; });
    int sum = 0;
    for (const auto& one : used) sum += one;
    return sum;
  };
  const ThreadPool::Share first, second;
  for (int round = 0; round < 20; ++round) ASSERT_LE(threads_used(), std::max(1, cores / 2));
  {
    const ThreadPool::Share others[100];
    for (int round = 0; round < 20; ++round) ASSERT_EQ(threads_used(), std::max(1, cores / 102));
  }
}

TEST(ThreadPool, RefusesSenselessSizes) {
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
  EXPECT_GE(available_cores(), 1);
}

}  // namespace
}  // namespace asmlp::thread_pool_test
