// A fixed set of threads that run one parallel loop at a time.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace asmlp {

// Cores this process may use: CPU affinity mask and cgroup quota (v1 and v2), at least 1.
int available_cores();

// One caller at a time may run loops on a pool. Workers spin for a few microseconds after a loop,
// then sleep, so an idle pool costs nothing and a busy machine is not starved. Pools that run loops
// at the same time share the cores: each then uses a part of its threads.
class ThreadPool {
 public:
  // threads counts the calling thread: 1 starts none. 0 takes available_cores(). Error
  // (kInvalidArgument) outside 0..256.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // While a Share lives, its thread counts as running loops: what several engines in one process
  // divide the cores by. Loops outside a Share use the whole pool.
  class Share {
   public:
    Share();
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
  };

  // Calls body(task, thread) for every task in [0, tasks), each once, in any order, thread in
  // [0, size()). Returns when all are done. Does not allocate; body must not throw.
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
  void work(int thread);

  std::unique_ptr<State> state_;
  std::vector<std::thread> workers_;
};

}  // namespace asmlp
