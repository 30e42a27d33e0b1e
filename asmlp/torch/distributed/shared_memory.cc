#include "asmlp/torch/distributed/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

using Clock = std::chrono::steady_clock;

// Less than a wake-up costs.
constexpr int kLooks = 400;
constexpr std::chrono::milliseconds kNap{50};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// std::atomic's own wait() is for the threads of one process only.
void sleep_while(Turn& word, uint32_t value) {
  const timespec nap{0, std::chrono::nanoseconds(kNap).count()};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &nap, nullptr, 0);
}

}  // namespace

SharedMemory::SharedMemory(std::string name, int descriptor, size_t bytes)
    : name_(std::move(name)), bytes_(bytes) {
  void* const data =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, /*offset=*/0);
  if (data != MAP_FAILED) data_ = data;
}

SharedMemory::~SharedMemory() {
  drop_name();
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

void SharedMemory::drop_name() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

// The name is a path that leads to the descriptor, and what has to be found at its end: the number
// of the process may be another one's by then.
std::shared_ptr<SharedMemory> SharedMemory::create(size_t bytes) {
  std::random_device random;
  const std::string label = fmt::format("asmlp-{:08x}{:08x}{:08x}", random(), random(), random());
  const int descriptor = ::memfd_create(label.c_str(), MFD_CLOEXEC);
  const int opened = errno;
  require(descriptor >= 0, ErrorCode::kIo, "cannot create shared memory: {}",
          std::strerror(opened));
  // Too little memory is an error here and not a signal later.
  const int full = ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
  std::shared_ptr<SharedMemory> shared(new SharedMemory(
      fmt::format("/proc/{}/fd/{} {}", ::getpid(), descriptor, label), descriptor, bytes));
  shared->descriptor_ = descriptor;
  require(full == 0 && shared->data_ != nullptr, ErrorCode::kIo,
          "cannot get {} bytes of shared memory: {}", bytes, std::strerror(full));
  return shared;
}

std::shared_ptr<SharedMemory> SharedMemory::open(const std::string& name, size_t bytes) {
  const size_t space = name.find(' ');
  if (space == std::string::npos) return nullptr;
  const std::string path = name.substr(0, space);
  std::error_code unseen;
  const std::string found = std::filesystem::read_symlink(path, unseen).string();
  if (unseen || !found.starts_with("/memfd:" + name.substr(space + 1))) return nullptr;
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  struct stat status {};
  std::shared_ptr<SharedMemory> shared;
  if (::fstat(descriptor, &status) == 0 && status.st_size == static_cast<off_t>(bytes)) {
    shared.reset(new SharedMemory(name, descriptor, bytes));
  }
  ::close(descriptor);
  return shared && shared->data_ != nullptr ? shared : nullptr;
}

void wake(Turn& mine) {
  static_assert(Turn::is_always_lock_free);
  ::syscall(SYS_futex, &mine, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool await_turn(Turn& theirs, uint32_t turn, std::atomic<uint32_t>& asleep,
                const Patience& patience) {
  for (int look = 0; look < kLooks; ++look) {
    if (has_come(theirs, turn)) return true;
    pause();
  }
  const Clock::time_point deadline = Clock::now() + patience.limit;
  bool result = true;
  while (true) {
    // Either this process sees the turn, or the other one sees that it sleeps.
    asleep.store(1);
    const uint32_t seen = theirs.load();
    if (has_come(theirs, turn)) break;
    sleep_while(theirs, seen);
    if (has_come(theirs, turn)) break;
    patience.check();
    if (Clock::now() >= deadline) {
      result = false;
      break;
    }
  }
  asleep.store(0);
  return result;
}

}  // namespace asmlp::dist
