#include "asmlp/torch/ops/runtime.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/torch/ops/allocator.h"

namespace asmlp::nn {
namespace {

// OMP_NUM_THREADS as this process was given it, the first number of it ("4,2" is for nested loops);
// 0 when it was not set.
int threads_of_environment() {
  static const int number = [] {
    const char* text = std::getenv("OMP_NUM_THREADS");
    return text ? std::clamp(std::atoi(text), 0, 256) : 0;
  }();
  return number;
}

void set_openmp_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

// LibTorch's second pool, pthreadpool's, for the few operators that use it: one thread only.
void keep_second_pool_small() {
  // The flag is gflags's or c10's own, as LibTorch was built.
  for (const char* name :
       {"_ZN3fLI22FLAGS_pthreadpool_sizeE", "_ZN3c1022FLAGS_pthreadpool_sizeE"}) {
    if (auto* const flag = static_cast<int*>(::dlsym(RTLD_DEFAULT, name))) *flag = 1;
  }
}

// With `ulimit -v`, a thread that starts now may not start later: its memory pool takes 128 MB.
bool address_space_is_limited() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

// libgomp ends the process when it cannot have a thread of its team, and pthreadpool waits for one
// that never was. So this asks before. at::set_num_threads takes `wanted` threads, the caller among
// them, from each; and before, the first time, one for each processor. Where the system gives
// fewer, only OpenMP's number is set. OpenMP's team is made here: it stays, for this thread. Every
// other thread that uses LibTorch (the loader's) makes the second pool anew before the old one
// goes.
int take_threads(int wanted) {
  constexpr int kOthers = 32;  // the loader, the exchange with other processes, the run's lock
  static std::mutex mutex;
  static bool first = true, limited = false;
  static thread_local int team = 1;
  const std::lock_guard lock(mutex);
  const int default_pool =
      first ? static_cast<int>(std::clamp(::sysconf(_SC_NPROCESSORS_CONF), 1L, 1024L)) : 1;
  const int more = std::max(0, wanted - team);
  const int needed = default_pool - 1 + 2 * (wanted - 1) + more + kOthers;
  int found = wanted;
  if (!limited && (wanted > team || first)) {
    const int startable = startable_threads(needed);
    limited = startable < needed || address_space_is_limited();
    if (limited) {
      keep_second_pool_small();
      ::setenv("OMP_NUM_THREADS", "1", 1);  // of threads that LibTorch sees for the first time
    }
  }
  first = false;
  if (limited) {
    found = std::min(wanted, team + startable_threads(more));
    if (found < wanted) note_fewer_threads(found, wanted);
    at::get_num_threads();  // sets this thread's number the first time; not again after that
    set_openmp_threads(found);
  } else {
    at::set_num_threads(wanted);
  }
  if (found > team) {
    team = found;
#ifdef _OPENMP
    std::atomic<int> members{0};
#pragma omp parallel num_threads(found)
    members.fetch_add(1, std::memory_order_relaxed);
#endif
  }
  return found;
}

// OpenBLAS has threads of its own, by default one for each core. Between products they spin, and
// take a core from whoever works there.
void limit_blas_threads(int threads) {
  using SetThreads = void (*)(int);
  if (const auto set =
          reinterpret_cast<SetThreads>(::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) {
    set(threads);
  }
}

}  // namespace

void keep_to_one_thread() {
  at::get_num_threads();  // LibTorch sets this thread's number the first time that it is asked
  set_openmp_threads(1);
}

int configure_runtime(int threads) {
  require(threads >= 0 && threads <= 256, ErrorCode::kInvalidArgument,
          "threads is {}, must be between 0 (all cores) and 256", threads);
  const int environment = threads_of_environment();
  if (threads == 0) threads = environment;
  if (threads == 0) threads = available_cores();
  threads = take_threads(threads);
  limit_blas_threads(threads);

  install_memory_pool();
#ifdef __GLIBC__
  // What C code and the packing of weights ask malloc for: blocks up to 1 GB come from the heap,
  // the heap is never given back (-1), and it grows in steps of 64 MB. Without this, AS-MLP-T
  // causes some 5,000 page faults per step. Best effort: a refusal costs speed only.
  static std::once_flag once;
  std::call_once(once, [] {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_TOP_PAD, 64 << 20);
  });
#endif
  return threads;
}

}  // namespace asmlp::nn
