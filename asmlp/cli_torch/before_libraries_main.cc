// What has to be right before the shared libraries start: OpenBLAS starts its threads when it is
// loaded, and kills the process when the system refuses them. Runs before any of them, by the
// dynamic linker, so it uses the C library only.
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which start here, too

namespace {

constexpr int kMostThreads = 256;

// What OpenBLAS reads, in its order. Its own comes first, so that ours decides.
constexpr const char* kNumbers[] = {
    "OPENBLAS_NUM_THREADS=", "GOTO_NUM_THREADS=", "OMP_NUM_THREADS="};

int threads_of_openblas(char** environment) {
  for (const char* name : kNumbers) {
    for (char** entry = environment; *entry != nullptr; ++entry) {
      if (std::strncmp(*entry, name, std::strlen(name)) != 0) continue;
      const int number = std::atoi(*entry + std::strlen(name));
      if (number > 0) return number < kMostThreads ? number : kMostThreads;
    }
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cores = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : kMostThreads;
  return cores < kMostThreads ? cores : kMostThreads;
}

void* wait_for(void* gate) {
  ::pthread_mutex_lock(static_cast<pthread_mutex_t*>(gate));
  ::pthread_mutex_unlock(static_cast<pthread_mutex_t*>(gate));
  return nullptr;
}

// Whether `count` threads can be had at once.
bool can_have_threads(int count) {
  pthread_t threads[2 * kMostThreads];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  ::pthread_mutex_lock(&gate);
  int had = 0;
  while (had < count && ::pthread_create(&threads[had], nullptr, wait_for, &gate) == 0) ++had;
  ::pthread_mutex_unlock(&gate);
  for (int i = 0; i < had; ++i) ::pthread_join(threads[i], nullptr);
  return had == count;
}

// Starts the program again with one thread for OpenBLAS.
void restart(char** argv, char** environment) {
  size_t count = 0;
  while (environment[count] != nullptr) ++count;
  char** const changed = static_cast<char**>(std::malloc((count + 2) * sizeof(char*)));
  if (changed == nullptr) return;
  char** next = changed;
  for (char** entry = environment; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, kNumbers[0], std::strlen(kNumbers[0])) != 0) *next++ = *entry;
  }
  static char one[] = "OPENBLAS_NUM_THREADS=1";
  *next++ = one;
  *next = nullptr;
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return;
  self[length] = '\0';
  ::execve(self, argv, changed);
}

// The initialization of LibTorch ends the process by a signal without memory, and OpenBLAS asks for
// its buffers again and again.
void check_address_space() {
  constexpr size_t kNeeded = size_t{768} << 20;
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  void* const room =
      ::mmap(nullptr, kNeeded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room != MAP_FAILED) {
    ::munmap(room, kNeeded);
    return;
  }
  char text[200];
  const int length = std::snprintf(
      text, sizeof text,
      "asmlp-torch: error: %llu MB of address space (ulimit -v) are too few for LibTorch\n",
      static_cast<unsigned long long>(limit.rlim_cur) >> 20);
  if (length > 0) static_cast<void>(!::write(2, text, static_cast<size_t>(length)));
  ::_exit(1);
}

void prepare(int, char** argv, char** environment) {
  check_address_space();
  const int wanted = threads_of_openblas(environment);
  if (wanted <= 1) return;
  // Others want threads, too: OpenMP as many, the exchange with other processes and the loader
  // some.
  constexpr int kOthers = 8;
  int needed = 2 * (wanted - 1) + kOthers;
  if (needed > 2 * kMostThreads) needed = 2 * kMostThreads;
  if (!can_have_threads(needed)) restart(argv, environment);
}

[[gnu::section(".preinit_array"), gnu::used]] void (*before_libraries)(int, char**,
                                                                       char**) = prepare;

}  // namespace

#endif
