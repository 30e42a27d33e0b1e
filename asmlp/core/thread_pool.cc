#include "asmlp/core/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/fork.h"
#include "asmlp/core/log.h"

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
#elif defined(__aarch64__)
  asm volatile("isb");  // drains the pipeline: some 10 ns, while `yield` does nothing on most cores
#endif
}

// About 20 us: longer than the gap between two loops of a forward pass, far shorter than a time
// slice, so that another process never waits for a spinning worker.
#if defined(__aarch64__)
constexpr int kSpins = 1600;
#else
constexpr int kSpins = 600;
#endif

}  // namespace

int available_cores() {
  int affinity = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) affinity = CPU_COUNT(&set);
#endif
  const double quota = std::ceil(cgroup_quota());
  return std::max(1, static_cast<int>(std::min<double>(affinity, quota)));
}

namespace {

// How many Shares live, and in which generation of fork_generation() (the high half): those of a
// parent do not count in its child, whose threads they are not.
std::atomic<uint64_t> active_shares{0};

uint64_t shares_of(unsigned generation, uint64_t shares) {
  return (shares >> 32) == generation ? shares : uint64_t{generation} << 32;
}

void change_shares(unsigned generation, int change) {
  uint64_t now = active_shares.load(std::memory_order_relaxed);
  while (!active_shares.compare_exchange_weak(
      now, shares_of(generation, now) + static_cast<uint64_t>(change), std::memory_order_relaxed)) {
  }
}

// Threads that a pool of `size` may use now. Alone it uses all; a pool that is larger than the
// machine was asked for and keeps its claim.
int fair_share(int size) {
  // No initialized static: a child forked in the middle of its initialization would wait for ever.
  static std::atomic<int> known{0};
  int cores = known.load(std::memory_order_relaxed);
  if (cores == 0) known.store(cores = available_cores(), std::memory_order_relaxed);
  const uint64_t shares =
      shares_of(fork_generation(), active_shares.load(std::memory_order_relaxed));
  const int active = static_cast<int>(shares & 0xffffffffu);
  return active <= 1 ? size : std::clamp(std::max(cores, size) / active, 1, size);
}

// Starts body(1), body(2), ... on threads of their own, `wanted` of them or as many as the system
// gives. Both exceptions mean that it gives no more.
template <typename Body>
void start_threads(std::vector<std::thread>& threads, int wanted, const Body& body) {
  try {
    threads.reserve(static_cast<size_t>(wanted));  // a thread that has started cannot be lost
    for (int thread = 1; thread <= wanted; ++thread) {
      threads.emplace_back([body, thread] { body(thread); });
    }
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace

int startable_threads(int wanted) {
  std::mutex mutex;
  std::condition_variable enough;
  bool over = false;
  std::vector<std::thread> threads;
  start_threads(threads, std::max(0, wanted), [&](int) {
    std::unique_lock lock(mutex);
    enough.wait(lock, [&] { return over; });
  });
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  enough.notify_all();
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size());
}

void note_fewer_threads(int had, int wanted) {
  static std::atomic<bool> noted{false};
  if (had >= wanted || noted.exchange(true)) return;
  try {
    log_message(LogLevel::kWarning,
                fmt::format("the system gives this process {} of the {} threads that it wants (see "
                            "`ulimit -u` and `ulimit -v`); it works on with fewer",
                            had, wanted));
  } catch (...) {  // no memory, or the callback's own: a note is not worth an error
  }
}

ThreadPool::Share::Share() : generation_(fork_generation()) { change_shares(generation_, 1); }
ThreadPool::Share::~Share() {
  if (generation_ == fork_generation()) change_shares(generation_, -1);
}

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
  std::exception_ptr thrown;  // by a body of the loop
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  std::vector<std::thread> workers;
  const unsigned generation = fork_generation();
  State* next_abandoned = nullptr;

  void drain(int thread) {
    try {
      for (int task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
        call(body, task, thread);
      }
    } catch (...) {
      next.store(tasks, std::memory_order_relaxed);  // the others end early, too
      const std::lock_guard lock(mutex);
      if (!thrown) thrown = std::current_exception();
    }
  }
  void publish(int threads) {
    const uint64_t number = ticket.load(std::memory_order_relaxed) / kNumber + 1;
    ticket.store(number * kNumber + threads, std::memory_order_release);
  }

  void work(int thread) {
    const auto published = [&] { return ticket.load(std::memory_order_acquire); };
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && published() == seen; ++i) pause_briefly();
      if (published() == seen) {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return published() != seen; });
      }
      if (stop) return;
      seen = published();
      if (static_cast<uint64_t>(thread) >= seen % kNumber) continue;
      drain(thread);
      if (pending.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        const std::lock_guard lock(mutex);
        done.notify_one();
      }
    }
  }

  // In a child of fork(): the threads are the parent's, so they can be neither joined nor detached,
  // and the mutex may be locked. Kept where leak checkers find it.
  static void abandon(std::unique_ptr<State> state) {
    static std::atomic<State*> abandoned{nullptr};
    State* const own = state.release();
    own->next_abandoned = abandoned.exchange(own);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  require(threads >= 0 && threads <= 256, ErrorCode::kInvalidArgument,
          "threads is {}, must be between 0 (all cores) and 256", threads);
  if (threads == 0) threads = available_cores();
  start_threads(state_->workers, threads - 1,
                [state = state_.get()](int thread) { state->work(thread); });
  size_ = static_cast<int>(state_->workers.size()) + 1;
  note_fewer_threads(size_, threads);
}

ThreadPool::~ThreadPool() {
  if (inherited()) {
    State::abandon(std::move(state_));
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->publish(size());
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

bool ThreadPool::inherited() const { return state_->generation != fork_generation(); }

void ThreadPool::run_erased(int tasks, Call call, const void* body) {
  if (tasks <= 0) return;
  State& state = *state_;
  const int threads = inherited() ? 1 : fair_share(size());
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
  if (state.thrown) std::rethrow_exception(std::exchange(state.thrown, nullptr));
}

}  // namespace asmlp
