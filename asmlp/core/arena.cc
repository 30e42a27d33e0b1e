#include "asmlp/core/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"

namespace asmlp {

void Arena::allocate() {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  const double present = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  require(
      static_cast<double>(bytes_) < 0.9 * present, ErrorCode::kTooLarge,
      "{:.1f} GB of buffers are needed, the machine has {:.1f} GB; use a smaller image, batch or "
      "model",
      static_cast<double>(bytes_) / 1e9, present / 1e9);
  // Room to begin at a huge page: only whole ones can be huge.
  const size_t size = static_cast<size_t>(bytes_ + kHugePage);
  void* mapping = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    throw OutOfMemory(
        fmt::format("out of memory: {:.3g} MB of buffers are needed, which the system refuses (see "
                    "`ulimit -v`); use a smaller image, batch or model",
                    static_cast<double>(bytes_) / 1e6));
  }
  const int64_t skip = -reinterpret_cast<intptr_t>(mapping) & (kHugePage - 1);
  memory_ = {static_cast<std::byte*>(mapping) + skip,
             [mapping, size](std::byte*) { ::munmap(mapping, size); }};
#if defined(MADV_HUGEPAGE)
  if (bytes_ >= kHugePage) {
    ::madvise(memory_.get(), static_cast<size_t>(bytes_), MADV_HUGEPAGE);  // best effort
  }
#endif
  for (const Place& place : places_) place.set(place.pointer, memory_.get() + place.offset);
  places_.clear();
}

}  // namespace asmlp
