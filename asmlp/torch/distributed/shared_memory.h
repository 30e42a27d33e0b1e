// Memory that the processes of one machine share, and how they wait for one another there.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace asmlp::dist {

// Is in no file system: it needs no room in /dev/shm, of which containers have little, and nothing
// of it is left when the processes end, in whatever way.
class SharedMemory {
 public:
  // `bytes` zeros, taken from the system now. Error(kIo) when it refuses.
  static std::shared_ptr<SharedMemory> create(size_t bytes);
  // The memory of `bytes` bytes that another process calls `name`, as long as its owner keeps the
  // name; null where it cannot be seen (on another machine), or is of another size.
  static std::shared_ptr<SharedMemory> open(const std::string& name, size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  const std::string& name() const { return name_; }
  // For who created it, when all have opened it: the name ends, and with it a descriptor.
  void drop_name();
  void* data() const { return data_; }

 private:
  SharedMemory(std::string name, int descriptor, size_t bytes);

  std::string name_;
  int descriptor_ = -1;  // of who created it
  size_t bytes_;
  void* data_ = nullptr;
};

// A counter in shared memory: zero at first, written by one process, and may wrap.
using Turn = std::atomic<uint32_t>;

inline bool has_come(const Turn& theirs, uint32_t turn) {
  return static_cast<int32_t>(theirs.load() - turn) >= 0;
}

// Wakes who sleeps for a counter of this process, which has been set.
void wake(Turn& mine);

// How to wait.
struct Patience {
  std::chrono::milliseconds limit;
  std::function<void()> check;  // called several times a second; what it throws ends the wait
};

// Whether another process's counter has come to `turn`. Looks for some ten microseconds before it
// sleeps; `asleep` (of this process) is not 0 meanwhile.
bool await_turn(Turn& theirs, uint32_t turn, std::atomic<uint32_t>& asleep,
                const Patience& patience);

}  // namespace asmlp::dist
