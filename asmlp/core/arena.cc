#include "asmlp/core/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"

namespace asmlp {
namespace {

// Zeroed pages of the system.
std::shared_ptr<std::byte> map_memory(int64_t bytes) {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  const double present = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  require(
      static_cast<double>(bytes) < 0.9 * present, ErrorCode::kTooLarge,
      "{:.1f} GB of buffers are needed, the machine has {:.1f} GB; use a smaller image, batch or "
      "model",
      static_cast<double>(bytes) / 1e9, present / 1e9);
  // Room to begin at a huge page: only whole ones can be huge.
  const size_t size = static_cast<size_t>(bytes + kHugePage);
  void* mapping = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    throw OutOfMemory(
        fmt::format("out of memory: {:.3g} MB of buffers are needed, which the system refuses (see "
                    "`ulimit -v`); use a smaller image, batch or model",
                    static_cast<double>(bytes) / 1e6));
  }
  const int64_t skip = -reinterpret_cast<intptr_t>(mapping) & (kHugePage - 1);
  std::shared_ptr<std::byte> memory{static_cast<std::byte*>(mapping) + skip,
                                    [mapping, size](std::byte*) { ::munmap(mapping, size); }};
#if defined(MADV_HUGEPAGE)
  if (bytes >= kHugePage) {
    ::madvise(memory.get(), static_cast<size_t>(bytes), MADV_HUGEPAGE);  // best effort
  }
#endif
  return memory;
}

}  // namespace

std::byte* MemoryBlock::grown_to(int64_t bytes) {
  if (bytes > bytes_) {
    memory_ = nullptr;  // never both at a time
    bytes_ = 0;
    ++generation_;
    memory_ = map_memory(bytes);
    bytes_ = bytes;
  }
  return memory_.get();
}

void Arena::place(std::byte* memory) {
  for (const Place& place : places_) place.set(place.pointer, memory + place.offset);
  places_.clear();
}

void Arena::allocate() {
  memory_ = map_memory(bytes_);
  place(memory_.get());
}

void Arena::allocate(MemoryBlock& block) { place(block.grown_to(bytes_)); }

}  // namespace asmlp
