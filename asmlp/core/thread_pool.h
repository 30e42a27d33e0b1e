// A fixed set of threads that run one parallel loop at a time.
#pragma once

#include <memory>
#include <type_traits>

namespace asmlp {

// Cores this process may use: CPU affinity mask and cgroup quota (v1 and v2), at least 1.
int available_cores();

// How many of `wanted` further threads (at least 0) can be started now: they are, and end again.
// For libraries that end the process when they cannot have their threads.
int startable_threads(int wanted);

// `wanted` threads could not be had, `had` were: a warning in the log, once per process.
void note_fewer_threads(int had, int wanted);

// One caller at a time may run loops on a pool. Workers spin for a few microseconds after a loop,
// then sleep, so an idle pool costs nothing and a busy machine is not starved. Pools that run loops
// at the same time share the cores: each then uses a part of its threads.
//
// A child of fork() has none of its parent's threads: there, loops of an inherited pool run on the
// calling thread alone, and its destructor leaves the threads' memory behind.
class ThreadPool {
 public:
  // threads counts the calling thread: 1 starts none. 0 takes available_cores(). Error
  // (kInvalidArgument) outside 0..256. Where the system refuses some of them (ulimit -u, a cgroup's
  // pids.max), the pool has those that started: see size(); a warning is logged once.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The threads that loops may run on: the calling one and those that could be started.
  int size() const { return size_; }

  // While a Share lives, its thread counts as running loops: what several engines in one process
  // divide the cores by. Loops outside a Share use the whole pool.
  class Share {
   public:
    Share();
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    unsigned generation_;  // of fork_generation(): a child's count begins anew
  };

  // Calls body(task, thread) for every task in [0, tasks), each once, in any order, thread in
  // [0, size()). Returns when all are done. Does not allocate. What a body throws leaves when all
  // threads have ended their tasks (one exception, if several threw); others may be left out then.
  template <typename Body>
  void run(int tasks, const Body& body) {
    static_assert(std::is_invocable_v<const Body&, int, int>);
    run_erased(
        tasks,
        [](const void* b, int task, int thread) { (*static_cast<const Body*>(b))(task, thread); },
        &body);
  }

 private:
  using Call = void (*)(const void* body, int task, int thread);
  struct State;
  void run_erased(int tasks, Call call, const void* body);
  bool inherited() const;  // from the other side of a fork

  std::unique_ptr<State> state_;
  int size_ = 1;
};

}  // namespace asmlp
