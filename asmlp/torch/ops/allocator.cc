#include "asmlp/torch/ops/allocator.h"

#include <c10/core/CPUAllocator.h>
#include <pthread.h>
#include <sys/mman.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <memory>
#include <new>

#include "asmlp/core/out_of_memory.h"

// The sanitizers see only what is in malloc's memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ASMLP_MEMORY_IS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define ASMLP_MEMORY_IS_WATCHED 1
#endif
#endif
#ifndef ASMLP_MEMORY_IS_WATCHED
#define ASMLP_MEMORY_IS_WATCHED 0
#endif

namespace asmlp::nn {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// No free block is smaller: the rest of a split stays with the block.
constexpr size_t kLeast = 4096;
// What is smaller is some megabytes in all, which malloc keeps.
constexpr size_t kPooled = size_t{32} << 10;

size_t rounded_up(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) & ~(multiple - 1);
}

std::byte* rounded_up(std::byte* place) {
  return place + (-reinterpret_cast<uintptr_t>(place) & (kHugePage - 1));
}
std::byte* rounded_down(std::byte* place) {
  return place - (reinterpret_cast<uintptr_t>(place) & (kHugePage - 1));
}

// A bit for each 2 MB of a user's 2^48 bytes of addresses. Of these 16 MB only those pages exist
// that were written.
constexpr size_t kPageWords = (size_t{1} << 48) / kHugePage / 64;
std::atomic<uint64_t> pool_pages[kPageWords];

void mark_pages(const void* begin, size_t bytes, bool ours) {
  const size_t first = reinterpret_cast<uintptr_t>(begin) / kHugePage;
  for (size_t page = first; page < first + bytes / kHugePage; ++page) {
    const uint64_t bit = uint64_t{1} << (page % 64);
    std::atomic<uint64_t>& word = pool_pages[page / 64 % kPageWords];
    if (ours) {
      word.fetch_or(bit, std::memory_order_relaxed);
    } else {
      word.fetch_and(~bit, std::memory_order_relaxed);
    }
  }
}

}  // namespace

// Stands at the begin of each block, used or free.
struct alignas(BlockPool::kAlignment) BlockPool::Block {
  size_t bytes;            // with this header
  Block* before;           // ends where this one begins; null at the begin of a mapping
  Block *next, *previous;  // of its list, while it is free
  bool is_free;
  bool has_after;  // whether another block begins where this one ends

  std::byte* begin() { return reinterpret_cast<std::byte*>(this); }
  std::byte* end() { return begin() + bytes; }
};

BlockPool::BlockPool() { static_assert(sizeof(Block) == kAlignment); }

BlockPool::~BlockPool() { give_back(SIZE_MAX); }

BlockPool::Block* BlockPool::after(Block* block) {
  return block->has_after ? reinterpret_cast<Block*>(block->end()) : nullptr;
}

int BlockPool::list_of(size_t bytes) {
  const int exponent = std::bit_width(bytes) - 1;  // 12 or more
  const auto part = static_cast<int>(bytes >> (exponent - 3) & 7);
  return std::min((exponent - 12) * 8 + part, kLists - 1);
}

void BlockPool::insert(Block* block) {
  const auto list = static_cast<size_t>(list_of(block->bytes));
  block->is_free = true;
  block->previous = nullptr;
  block->next = lists_[list];
  if (block->next != nullptr) block->next->previous = block;
  lists_[list] = block;
  filled_[list / 64] |= uint64_t{1} << (list % 64);
}

void BlockPool::remove(Block* block) {
  const auto list = static_cast<size_t>(list_of(block->bytes));
  (block->previous != nullptr ? block->previous->next : lists_[list]) = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  if (lists_[list] == nullptr) filled_[list / 64] &= ~(uint64_t{1} << (list % 64));
  block->is_free = false;
}

// The smallest free block that is large enough.
BlockPool::Block* BlockPool::best_fit(size_t bytes) const {
  const auto first = static_cast<size_t>(list_of(bytes));
  Block* best = nullptr;
  const auto search = [&](size_t list) {
    for (Block* block = lists_[list]; block != nullptr; block = block->next) {
      if (block->bytes >= bytes && (best == nullptr || block->bytes < best->bytes)) best = block;
    }
  };
  search(first);
  for (size_t word = first / 64; best == nullptr && word < filled_.size(); ++word) {
    uint64_t bits = filled_[word];
    if (word == first / 64) bits &= ~((uint64_t{2} << (first % 64)) - 1);
    if (bits != 0) search(64 * word + static_cast<size_t>(std::countr_zero(bits)));
  }
  return best;
}

// Takes `bytes` from the end of a block that is in no list: what is left over stays beside the
// memory into which the mapping grows.
BlockPool::Block* BlockPool::split(Block* block, size_t bytes) {
  if (block->bytes - bytes < kLeast) return block;
  auto* const taken = reinterpret_cast<Block*>(block->end() - bytes);
  *taken = {bytes, block, nullptr, nullptr, false, block->has_after};
  if (Block* const next = after(taken)) next->before = taken;
  block->bytes -= bytes;
  block->has_after = true;
  insert(block);
  return taken;
}

// New memory at `place` (null: anywhere), or null. A multiple of 2 MB in either case.
BlockPool::Block* BlockPool::map(void* place, size_t bytes) {
  constexpr int kProtection = PROT_READ | PROT_WRITE, kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  const auto request = [&](void* at, size_t size, int flags) {
    void* const found = ::mmap(at, size, kProtection, flags, -1, 0);
    return found == MAP_FAILED ? nullptr : static_cast<std::byte*>(found);
  };
  std::byte* found = nullptr;
  if (place != nullptr) {
#ifdef MAP_FIXED_NOREPLACE
    found = request(place, bytes, kFlags | MAP_FIXED_NOREPLACE);
#else
    found = request(place, bytes, kFlags);
#endif
    if (found != nullptr && found != place) {
      ::munmap(found, bytes);
      found = nullptr;
    }
    if (found == nullptr) return nullptr;
  } else {
    // With room to begin at a multiple; what is too much goes back at once.
    std::byte* const all = request(nullptr, bytes + kHugePage, kFlags);
    if (all == nullptr) return nullptr;
    found = rounded_up(all);
    const auto skipped = static_cast<size_t>(found - all);
    if (skipped > 0) ::munmap(all, skipped);
    ::munmap(found + bytes, kHugePage - skipped);
  }
#ifdef MADV_HUGEPAGE
  ::madvise(found, bytes, MADV_HUGEPAGE);  // best effort
#endif
  mark_pages(found, bytes, true);
  use_.mapped += bytes;
  ++use_.mappings;
  auto* const block = reinterpret_cast<Block*>(found);
  *block = {bytes, nullptr, nullptr, nullptr, false, false};
  return block;
}

// A block of `bytes` or more, in no list, from the system; null when it refuses.
BlockPool::Block* BlockPool::grow(size_t bytes) {
  const size_t allowed = bound(use_.used + bytes), wanted = rounded_up(bytes, kHugePage);
  if (use_.mapped + wanted > allowed) give_back(use_.mapped + wanted - allowed);
  // What is free at the lower end of the latest mapping is a part of it, if the addresses below
  // are.
  if (lowest_ != nullptr) {
    Block* const above = lowest_;
    const size_t there = above->is_free ? above->bytes : 0;
    const size_t missing = rounded_up(bytes - there, kHugePage);  // best_fit() did not take it
    if (Block* const block = map(above->begin() - missing, missing)) {
      block->has_after = true;
      above->before = block;
      if (above->is_free) {
        remove(above);
        block->bytes += above->bytes;
        block->has_after = above->has_after;
        if (Block* const next = after(block)) next->before = block;
      }
      return lowest_ = block;
    }
  }
  if (Block* const block = map(nullptr, wanted)) return lowest_ = block;
  return nullptr;
}

// Unmaps up to `bytes`, rounded up to pages, of a free block; returns how many.
size_t BlockPool::unmap_part(Block* block, size_t bytes) {
  std::byte *const begin = block->begin(), *const end = block->end();
  // What stays is large enough for a block, or nothing.
  const bool whole_begin = block->before == nullptr && rounded_down(begin) == begin;
  std::byte* const from = whole_begin ? begin : rounded_up(begin + kLeast);
  std::byte* to = rounded_down(end);
  if (to != end && static_cast<size_t>(end - to) < kLeast) to -= kHugePage;
  if (to <= from) return 0;
  const size_t most = static_cast<size_t>(to - from);
  const size_t size = bytes < most ? rounded_up(bytes, kHugePage) : most;
  to = from + size;
  Block* rest = after(block);
  const bool has_after = block->has_after;
  remove(block);
  if (::munmap(from, size) != 0) {  // the number of mappings is limited
    insert(block);
    return 0;
  }
  mark_pages(from, size, false);
  use_.mapped -= size;
  if (rest != nullptr) rest->before = nullptr;
  if (to < end) {
    auto* const tail = reinterpret_cast<Block*>(to);
    *tail = {static_cast<size_t>(end - to), nullptr, nullptr, nullptr, true, has_after};
    if (rest != nullptr) rest->before = tail;
    insert(tail);
    rest = tail;
  }
  if (from > begin) {
    block->bytes = static_cast<size_t>(from - begin);
    block->has_after = false;
    insert(block);
  } else if (block == lowest_) {
    lowest_ = rest;
  }
  return size;
}

// Returns up to `bytes` of free memory to the system, of the largest blocks first.
void BlockPool::give_back(size_t bytes) {
  for (size_t list = kLists; list-- > 0 && bytes > 0;) {
    for (Block* block = lists_[list]; block != nullptr && bytes > 0;) {
      Block* const next = block->next;  // what is left of the block comes into a list before it
      bytes -= std::min(bytes, unmap_part(block, bytes));
      block = next;
    }
  }
}

// How much may be mapped when up to `used` bytes are in use at a time: half as much again, in the
// holes between the blocks, and the steps in which a small run grows.
size_t BlockPool::bound(size_t used) const {
  const size_t most = std::max({used, peak_, last_peak_});
  return most + most / 2 + (size_t{64} << 20);
}

void BlockPool::count(size_t bytes) {
  use_.used += bytes;
  peak_ = std::max(peak_, use_.used);
  period_ += bytes;
  if (period_ < 8 * use_.mapped) return;
  const size_t allowed = bound(use_.used);
  if (use_.mapped > allowed) give_back(use_.mapped - allowed);
  last_peak_ = peak_;
  peak_ = use_.used;
  period_ = 0;
}

void* BlockPool::allocate(size_t bytes) noexcept {
  if (bytes > size_t{1} << 46) return nullptr;
  const size_t size = std::max(rounded_up(bytes, kAlignment) + sizeof(Block), kLeast);
  const std::lock_guard lock(mutex_);
  Block* block = best_fit(size);
  if (block != nullptr) {
    remove(block);
  } else if (block = grow(size); block == nullptr) {
    give_back(SIZE_MAX);  // addresses that no block is in may be what is missing
    block = grow(size);
    if (block == nullptr) return nullptr;
  }
  block = split(block, size);
  count(block->bytes);
  return block + 1;
}

void BlockPool::free(void* memory) noexcept {
  Block* block = static_cast<Block*>(memory) - 1;
  const std::lock_guard lock(mutex_);
  use_.used -= block->bytes;
  const auto join = [this](Block* first, Block* second) {
    first->bytes += second->bytes;
    first->has_after = second->has_after;
    if (Block* const next = after(first)) next->before = first;
    return first;
  };
  if (Block* const next = after(block); next != nullptr && next->is_free) {
    remove(next);
    join(block, next);
  }
  if (Block* const before = block->before; before != nullptr && before->is_free) {
    remove(before);
    block = join(before, block);
  }
  insert(block);
}

bool BlockPool::owns(const void* memory) noexcept {
  const size_t page = reinterpret_cast<uintptr_t>(memory) / kHugePage;
  return (pool_pages[page / 64 % kPageWords].load(std::memory_order_relaxed) >> (page % 64) & 1) !=
         0;
}

BlockPool::Use BlockPool::use() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

namespace {

// Never destroyed: there are tensors that outlive everything. Made by the first large block, which
// may be before main().
BlockPool& memory_pool() {
  static BlockPool& pool = []() -> BlockPool& {
    alignas(BlockPool) static std::byte place[sizeof(BlockPool)];
    ::pthread_atfork([] { memory_pool().lock(); }, [] { memory_pool().unlock(); },
                     [] { memory_pool().unlock(); });
    return *new (place) BlockPool;
  }();
  return pool;
}

class PoolAllocator final : public c10::Allocator {
 public:
  explicit PoolAllocator(c10::Allocator& usual) : usual_(usual) {
    usual_deleter = usual.raw_deleter();
  }

  // LibTorch has changed the interface on the way to 2.3.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(size_t bytes) override { return get(bytes); }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
#else
  c10::DataPtr allocate(size_t bytes) const override { return get(bytes); }
#endif
  // Also frees what was there before the pool, and small tensors.
  c10::DeleterFnPtr raw_deleter() const override { return usual_deleter ? free_any : nullptr; }

 private:
  c10::DataPtr get(size_t bytes) const {
    if (bytes < kPooled) return usual_.allocate(bytes);
    void* const memory = memory_pool().allocate(bytes);
    if (memory == nullptr) {
      throw OutOfMemory(
          fmt::format("out of memory: a tensor needs {:.3g} MB, which the system refuses",
                      static_cast<double>(bytes) / 1e6));
    }
    return {memory, memory, free_any, c10::Device(c10::DeviceType::CPU)};
  }
  static void free_any(void* memory) {
    if (BlockPool::owns(memory)) {
      memory_pool().free(memory);
    } else if (memory != nullptr) {
      usual_deleter(memory);
    }
  }

  c10::Allocator& usual_;
  static inline c10::DeleterFnPtr usual_deleter = nullptr;
};

}  // namespace

bool install_memory_pool() {
  if constexpr (ASMLP_MEMORY_IS_WATCHED) return false;
  static std::once_flag once;
  std::call_once(once, [] {
    static PoolAllocator& allocator = *new PoolAllocator(*c10::GetCPUAllocator());
    c10::SetCPUAllocator(&allocator, /*priority=*/1);
  });
  return true;
}

BlockPool::Use memory_pool_use() { return memory_pool().use(); }

#if !ASMLP_MEMORY_IS_WATCHED

namespace {

// Null when there is none.
void* new_block(size_t bytes, size_t alignment) noexcept {
  if (bytes >= kPooled && alignment <= BlockPool::kAlignment) return memory_pool().allocate(bytes);
  bytes = std::max<size_t>(bytes, 1);
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(bytes);
  if (bytes > SIZE_MAX - alignment) return nullptr;
  return std::aligned_alloc(alignment, rounded_up(bytes, alignment));
}

void* new_block_or_throw(size_t bytes, size_t alignment) {
  while (true) {
    if (void* const memory = new_block(bytes, alignment)) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void delete_block(void* memory) noexcept {
  if (BlockPool::owns(memory)) {
    memory_pool().free(memory);
  } else {
    std::free(memory);
  }
}

}  // namespace

#endif

}  // namespace asmlp::nn

#if !ASMLP_MEMORY_IS_WATCHED

// Those of arrays, those that do not throw, and those with a size call these by themselves.
void* operator new(size_t bytes) {
  return asmlp::nn::new_block_or_throw(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return asmlp::nn::new_block_or_throw(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { asmlp::nn::delete_block(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { asmlp::nn::delete_block(memory); }
void operator delete(void* memory, size_t) noexcept { asmlp::nn::delete_block(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  asmlp::nn::delete_block(memory);
}

#endif
