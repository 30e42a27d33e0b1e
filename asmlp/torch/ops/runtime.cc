#include "asmlp/torch/ops/runtime.h"

#include <ATen/Parallel.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp::nn {
namespace {

// OMP_NUM_THREADS, the first number of it ("4,2" is for nested loops); 0 when it is not set.
int threads_of_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  return text ? std::clamp(std::atoi(text), 0, 256) : 0;
}

}  // namespace

int configure_runtime(int threads) {
  require(threads >= 0 && threads <= 256, ErrorCode::kInvalidArgument,
          "threads is {}, must be between 0 (all cores) and 256", threads);
  if (threads == 0) threads = threads_of_environment();
  if (threads == 0) threads = available_cores();
  at::set_num_threads(threads);

  static std::once_flag once;
  std::call_once(once, [] {
#ifdef __GLIBC__
    // Blocks up to 1 GB come from the heap, the heap is never given back (-1), and it grows in
    // steps of 64 MB. Best effort: a refusal costs speed only.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_TOP_PAD, 64 << 20);
#endif
  });
  return threads;
}

}  // namespace asmlp::nn
