#include "asmlp/core/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/fork.h"
#include "asmlp/core/log.h"

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

TEST(ThreadPool, WhatABodyThrowsLeaves) {
  ThreadPool pool(4);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.run(100, [&](int task, int) { require(task != 37, ErrorCode::kIo, "37"); }),
                 Error);
    std::atomic<int> runs{0};
    pool.run(100, [&](int, int) { ++runs; });
    ASSERT_EQ(runs, 100);
  }
}

// The exit code of `body` in a child; a child that hangs is killed by SIGALRM, whose number it then
// is.
template <typename Body>
int in_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

int sum_of(ThreadPool& pool) {
  std::atomic<int> sum{0};
  pool.run(1000, [&](int task, int thread) {
    if (thread < 0 || thread >= pool.size()) sum = -1000000;
    sum += task;
  });
  return sum;
}
constexpr int kSum = 999 * 1000 / 2;

// Room for a few stacks is left of the address space: sanitizers keep terabytes of it.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(ThreadPool, WorksWithTheThreadsThatTheSystemGives) {
  EXPECT_EQ(startable_threads(3), 3);
  EXPECT_EQ(startable_threads(-1), 0);
  const auto limited = [](rlim_t room) {
    return in_child([room] {
      rlim_t pages = 0;
      std::ifstream("/proc/self/statm") >> pages;
      const rlim_t most = pages * static_cast<rlim_t>(::sysconf(_SC_PAGE_SIZE)) + room;
      const rlimit limit{most, most};
      if (::setrlimit(RLIMIT_AS, &limit) != 0) return 1;
      std::atomic<int> warnings{0};
      set_log_callback([&](LogLevel, const std::string&) { ++warnings; });
      if (startable_threads(255) > 100) return 2;
      for (int round = 0; round < 3; ++round) {
        ThreadPool pool(256);
        if (pool.size() < 1 || pool.size() > 100) return 3;
        if (sum_of(pool) != kSum) return 4;
      }
      return warnings == 1 ? 0 : 5;
    });
  };
  for (int megabytes : {1, 20, 100}) EXPECT_EQ(limited(rlim_t(megabytes) << 20), 0) << megabytes;
}
#endif

#if !defined(__SANITIZE_THREAD__)  // which cannot start threads in the child of a process with some
TEST(ThreadPool, AChildOfAForkIsNotHeldUp) {
  const unsigned before = fork_generation();
  auto pool = std::make_unique<ThreadPool>(4);
  ASSERT_EQ(sum_of(*pool), kSum);
  const auto uses = [&] {
    return fork_generation() == before + 1 && sum_of(*pool) == kSum ? 0 : 1;
  };
  const auto destroys = [&] {
    pool.reset();
    return 0;
  };
  const auto makes = [&] {
    ThreadPool own(3);
    return own.size() == 3 && sum_of(own) == kSum ? 0 : 1;
  };
  EXPECT_EQ(in_child(uses), 0);
  EXPECT_EQ(in_child(destroys), 0);
  EXPECT_EQ(in_child(makes), 0);
  // In the middle of loops of another thread.
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) sum_of(*pool);
  });
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(in_child(uses), 0);
    EXPECT_EQ(in_child(destroys), 0);
    EXPECT_EQ(in_child(makes), 0);
  }
  over = true;
  other.join();
  EXPECT_EQ(fork_generation(), before);
}

// Or an engine in the child would use a part of its threads only, for ever.
TEST(ThreadPool, TheParentsSharesDoNotCountInAChild) {
  const auto threads_used = [](ThreadPool& pool) {
    std::vector<std::atomic<int>> used(4);
    std::atomic<int> waiting{0};
    pool.run(4, [&](int, int thread) {
      used[static_cast<size_t>(thread)] = 1;
      ++waiting;
      for (int i = 0; i < 2000 && waiting < 4; ++i) ::usleep(100);
    });
    int sum = 0;
    for (const auto& one : used) sum += one;
    return sum;
  };
  auto shares = std::make_unique<ThreadPool::Share[]>(100);
  EXPECT_EQ(in_child([&] {
              ThreadPool own(4);
              const int alone = threads_used(own);
              shares.reset();  // and they do not bring the count below zero
              const ThreadPool::Share mine;
              return alone == 4 && threads_used(own) == 4 ? 0 : 1;
            }),
            0);
}
#endif

TEST(ThreadPool, RefusesSenselessSizes) {
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
  EXPECT_GE(available_cores(), 1);
}

}  // namespace
}  // namespace asmlp::thread_pool_test
