#include "asmlp/core/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// The CPU quota of the process's cgroup in cores, or infinity. Only the limits visible at the mount
// point are read: inside a container those are the container's.
double cgroup_quota() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period) {
    return quota == "max" || period <= 0 ? INFINITY : std::atof(quota.c_str()) / period;
  }
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double microseconds = 0;
  if (v1_quota >> microseconds && v1_period >> period && microseconds > 0 && period > 0) {
    return microseconds / period;
  }
  return INFINITY;
}

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// About 20 us: longer than the gap between two loops of a forward pass, far shorter than a time
// slice, so that another process never waits for a spinning worker.
constexpr int kSpins = 600;

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int affinity = ::sched_getaffinity(0, sizeof set, &set) == 0
                           ? CPU_COUNT(&set)
                           : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const double quota = std::ceil(cgroup_quota());
  return std::max(1, static_cast<int>(std::min<double>(affinity, quota)));
}

namespace {

std::atomic<int> active_shares{0};

// Threads that a pool of `size` may use now. Alone it uses all; a pool that is larger than the
// machine was asked for and keeps its claim.
int fair_share(int size) {
  static const int cores = available_cores();
  const int active = active_shares.load(std::memory_order_relaxed);
  return active <= 1 ? size : std::clamp(std::max(cores, size) / active, 1, size);
}

}  // namespace

ThreadPool::Share::Share() { active_shares.fetch_add(1, std::memory_order_relaxed); }
ThreadPool::Share::~Share() { active_shares.fetch_sub(1, std::memory_order_relaxed); }

// A loop is published by a new `ticket`, which holds its number and how many threads take part, so
// that a worker learns both at once: the others must not touch the loop, because nobody waits for
// them. Tasks are drawn from `next`; the loop is over when every worker that takes part has
// reported back in `pending`. Sleeping uses the mutex only.
struct ThreadPool::State {
  static constexpr uint64_t kNumber = uint64_t{1} << 16;  // the low bits count threads
  std::atomic<uint64_t> ticket{0};
  std::atomic<int> next{0};
  std::atomic<int> pending{0};
  std::atomic<bool> stop{false};
  Call call = nullptr;
  const void* body = nullptr;
  int tasks = 0;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;

  void drain(int thread) {
    for (int task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      call(body, task, thread);
    }
  }
  void publish(int threads) {
    const uint64_t number = ticket.load(std::memory_order_relaxed) / kNumber + 1;
    ticket.store(number * kNumber + threads, std::memory_order_release);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  require(threads >= 0 && threads <= 256, ErrorCode::kInvalidArgument,
          "threads is {}, must be between 0 (all cores) and 256", threads);
  if (threads == 0) threads = available_cores();
  for (int thread = 1; thread < threads; ++thread)
    workers_.emplace_back([=, this] { work(thread); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->publish(size());
  }
  state_->wake.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::work(int thread) {
  State& state = *state_;
  const auto ticket = [&] { return state.ticket.load(std::memory_order_acquire); };
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < kSpins && ticket() == seen; ++i) pause_briefly();
    if (ticket() == seen) {
      std::unique_lock lock(state.mutex);
      state.wake.wait(lock, [&] { return ticket() != seen; });
    }
    if (state.stop) return;
    seen = ticket();
    if (static_cast<uint64_t>(thread) >= seen % State::kNumber) continue;
    state.drain(thread);
    if (state.pending.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const std::lock_guard lock(state.mutex);
      state.done.notify_one();
    }
  }
}

void ThreadPool::run_erased(int tasks, Call call, const void* body) {
  if (tasks <= 0) return;
  State& state = *state_;
  const int threads = fair_share(size());
  if (threads == 1 || tasks == 1) {
    for (int task = 0; task < tasks; ++task) call(body, task, 0);
    return;
  }
  {
    const std::lock_guard lock(state.mutex);
    state.call = call;
    state.body = body;
    state.tasks = tasks;
    state.next.store(0, std::memory_order_relaxed);
    state.pending.store(threads - 1, std::memory_order_relaxed);
    state.publish(threads);
  }
  state.wake.notify_all();
  state.drain(0);
  for (int i = 0; i < kSpins && state.pending.load(std::memory_order_acquire) > 0; ++i) {
    pause_briefly();
  }
  if (state.pending.load(std::memory_order_acquire) > 0) {
    std::unique_lock lock(state.mutex);
    state.done.wait(lock, [&] { return state.pending.load(std::memory_order_acquire) == 0; });
  }
}

}  // namespace asmlp
