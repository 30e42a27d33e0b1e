#include "asmlp/torch/distributed/system_limits.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp::dist {
namespace {

// The store's server (1) and, per network interface, gloo's loop and its two workers; the Watch's
// two; and a few of whoever sends messages in between.
constexpr int kThreads = 8;

}  // namespace

int free_descriptors() {
  constexpr int kEnough = 65536;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kEnough;
  const int most = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, kEnough));
  int unused = 0;
  for (int descriptor = 0; descriptor < most; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0) ++unused;
  }
  return unused;
}

// Rank 0 listens for the store and for gloo, which also has an epoll and a pipe (8 with their
// ends); it has two connections to the store itself; each other process adds two of those and one
// of gloo's, which is two while it is made; weights, images and the log are open meanwhile.
int descriptors_needed(int size) { return 16 + 4 * size; }

void require_system_limits(int rank, int size) {
  const int unused = free_descriptors(), needed = descriptors_needed(size);
  require(unused >= needed, ErrorCode::kIo,
          "rank {} of {}: the exchange with the other processes takes {} files and sockets, the "
          "system gives this process {} more; raise `ulimit -n` by {}",
          rank, size, needed, unused, needed - unused);
  const int threads = startable_threads(kThreads);
  require(threads == kThreads, ErrorCode::kIo,
          "rank {} of {}: the exchange with the other processes takes {} threads, the system gives "
          "this process {} more; raise `ulimit -u` (or `ulimit -v`), or use fewer processes",
          rank, size, kThreads, threads);
}

}  // namespace asmlp::dist
