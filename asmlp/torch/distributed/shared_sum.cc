#include "asmlp/torch/distributed/shared_sum.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <random>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

using Clock = std::chrono::steady_clock;

// Looks at the counter before the process goes to sleep: some ten microseconds, less than a wake-up
// costs.
constexpr int kLooks = 400;
constexpr std::chrono::milliseconds kNap{50};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// std::atomic's own wait() is for the threads of one process only.
void sleep_while(std::atomic<uint32_t>& word, uint32_t value) {
  const timespec nap{0, std::chrono::nanoseconds(kNap).count()};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &nap, nullptr, 0);
}
void wake(std::atomic<uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

template <typename T>
void add(const void* from, void* to, int64_t bytes) {
  const auto* in = static_cast<const T*>(from);
  auto* out = static_cast<T*>(to);
  for (int64_t i = 0; i < bytes / int64_t{sizeof(T)}; ++i) out[i] += in[i];
}

}  // namespace

// A process's part of the memory. What it gives to a sum stays until all have come to the next one:
// the one after that has the same buffer.
struct SharedSum::Member {
  alignas(64) std::atomic<uint32_t> turn;  // of the last sum that this process has come to
  std::atomic<uint32_t> asleep;            // whether it waits for another one's turn
  struct alignas(64) Part {
    int64_t bytes;
    int32_t type;  // torch::ScalarType
    alignas(64) char values[kCapacity];
  } parts[2];
};

SharedSum::SharedSum(std::string name, int fd, int rank, int size)
    : name_(std::move(name)), rank_(rank), size_(size) {
  static_assert(std::atomic<uint32_t>::is_always_lock_free);
  void* memory = ::mmap(nullptr, static_cast<size_t>(size) * sizeof(Member), PROT_READ | PROT_WRITE,
                        MAP_SHARED, fd, 0);
  if (memory != MAP_FAILED) memory_ = memory;
}

SharedSum::~SharedSum() {
  unlink();
  if (memory_ != nullptr) ::munmap(memory_, static_cast<size_t>(size_) * sizeof(Member));
}

std::unique_ptr<SharedSum> SharedSum::create(int rank, int size) {
  std::random_device random;
  const std::string name = fmt::format("/asmlp-{:08x}{:08x}{:08x}", random(), random(), random());
  const int fd = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  const int opened = errno;
  require(fd >= 0, ErrorCode::kIo, "{}: cannot create shared memory: {}", name,
          std::strerror(opened));
  // Allocated now: a full /dev/shm is an error here and not a signal later.
  const int full = ::posix_fallocate(fd, 0, static_cast<off_t>(size) * off_t{sizeof(Member)});
  std::unique_ptr<SharedSum> shared(new SharedSum(name, fd, rank, size));
  shared->linked_ = true;
  ::close(fd);
  require(full == 0 && shared->memory_ != nullptr, ErrorCode::kIo,
          "{}: cannot get shared memory for {} processes: {}", name, size, std::strerror(full));
  return shared;
}

std::unique_ptr<SharedSum> SharedSum::open(const std::string& name, int rank, int size) {
  const int fd = ::shm_open(name.c_str(), O_RDWR, 0);
  if (fd < 0) return nullptr;
  struct stat status {};
  const bool whole = ::fstat(fd, &status) == 0 &&
                     status.st_size == static_cast<off_t>(size) * off_t{sizeof(Member)};
  std::unique_ptr<SharedSum> shared;
  if (whole) shared.reset(new SharedSum(name, fd, rank, size));
  ::close(fd);
  return shared && shared->memory_ != nullptr ? std::move(shared) : nullptr;
}

void SharedSum::unlink() {
  if (std::exchange(linked_, false)) ::shm_unlink(name_.c_str());
}

SharedSum::Member& SharedSum::member(int rank) const {
  return static_cast<Member*>(memory_)[rank];  // zeros at first, which are its atomics' values
}

bool SharedSum::takes(const torch::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return tensor.is_cpu() && tensor.numel() > 0 &&
         static_cast<int64_t>(tensor.nbytes()) <= kCapacity &&
         (type == torch::kFloat || type == torch::kDouble || type == torch::kInt64);
}

bool SharedSum::await(int peer, uint32_t turn, std::chrono::milliseconds limit,
                      const std::function<void()>& check) {
  std::atomic<uint32_t>& theirs = member(peer).turn;
  const auto come = [&] { return static_cast<int32_t>(theirs.load() - turn) >= 0; };
  for (int look = 0; look < kLooks; ++look) {
    if (come()) return true;
    pause();
  }
  const Clock::time_point deadline = Clock::now() + limit;
  std::atomic<uint32_t>& asleep = member(rank_).asleep;
  bool result = true;
  while (true) {
    // Either this process sees the turn, or the other one sees that it sleeps.
    asleep.store(1);
    const uint32_t seen = theirs.load();
    if (come()) break;
    sleep_while(theirs, seen);
    if (come()) break;
    check();
    if (Clock::now() >= deadline) {
      result = false;
      break;
    }
  }
  asleep.store(0);
  return result;
}

bool SharedSum::sum(torch::Tensor& tensor, std::chrono::milliseconds limit,
                    const std::function<void()>& check) {
  const auto values = tensor.contiguous();
  const auto bytes = static_cast<int64_t>(values.nbytes());
  const uint32_t turn = ++turn_;
  const size_t buffer = turn % 2;
  Member::Part& mine = member(rank_).parts[buffer];
  mine.bytes = bytes;
  mine.type = static_cast<int32_t>(values.scalar_type());
  std::memcpy(mine.values, values.data_ptr(), static_cast<size_t>(bytes));
  member(rank_).turn.store(turn);
  bool sleepers = false;
  for (int peer = 0; peer < size_; ++peer) sleepers |= member(peer).asleep.load() != 0;
  if (sleepers) wake(member(rank_).turn);
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_ && !await(peer, turn, limit, check)) return false;
  }
  auto total = torch::zeros_like(values);
  for (int peer = 0; peer < size_; ++peer) {
    const Member::Part& theirs = member(peer).parts[buffer];
    require(theirs.bytes == bytes && theirs.type == mine.type, ErrorCode::kMismatch,
            "rank {} adds {} bytes of {}, rank {} {} bytes of {}: the processes are not in the "
            "same step; start all with the same options and data",
            rank_, bytes, c10::toString(values.scalar_type()), peer, theirs.bytes,
            c10::toString(static_cast<torch::ScalarType>(theirs.type)));
    const void* part = theirs.values;
    switch (values.scalar_type()) {
      case torch::kFloat:
        add<float>(part, total.data_ptr(), bytes);
        break;
      case torch::kDouble:
        add<double>(part, total.data_ptr(), bytes);
        break;
      default:
        add<int64_t>(part, total.data_ptr(), bytes);
    }
  }
  tensor.copy_(total);
  return true;
}

}  // namespace asmlp::dist
