// The large blocks of memory of a training: what a step frees, the next step has again, without the
// system, whatever malloc the program runs on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace asmlp::nn {

// A heap of memory that it has mapped itself, in multiples of 2 MB at multiples of 2 MB, as huge
// pages where the system has them. Freed blocks join with their neighbors and wait for the next
// block that fits best. Mapped pages go back to the system only when they are many against what was
// in use at a time of late: a step that repeats causes no page faults, and sizes that change
// (detection) do not pile up. All functions may be called by any thread, and none allocates
// anything elsewhere.
class BlockPool {
 public:
  // Of every block, in bytes.
  static constexpr size_t kAlignment = 64;

  BlockPool();
  // No block may be in use.
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // `bytes` (1 or more) of memory, not zeroed; null when the system refuses them.
  void* allocate(size_t bytes) noexcept;
  // For a block of this pool.
  void free(void* memory) noexcept;

  // Whether `memory` lies in what some pool has mapped.
  static bool owns(const void* memory) noexcept;

  struct Use {
    size_t mapped = 0;     // bytes that the pool holds
    size_t used = 0;       // of them in blocks, with 64 bytes of each for the pool
    int64_t mappings = 0;  // times that the system was asked for memory
  };
  Use use() const;

  // A fork waits until no other thread is at work in the pool, so that the child can go on with it.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  struct Block;
  // Eight lists per power of two, from 4 kB to 256 TB.
  static constexpr int kLists = 8 * 36;

  static int list_of(size_t bytes);
  static Block* after(Block* block);
  void insert(Block* block);
  void remove(Block* block);
  Block* best_fit(size_t bytes) const;
  Block* split(Block* block, size_t bytes);
  Block* grow(size_t bytes);
  Block* map(void* place, size_t bytes);
  void give_back(size_t bytes);
  size_t unmap_part(Block* block, size_t bytes);
  size_t bound(size_t used) const;
  void count(size_t bytes);

  mutable std::mutex mutex_;
  std::array<Block*, kLists> lists_{};                 // of free blocks
  std::array<uint64_t, (kLists + 63) / 64> filled_{};  // a bit per list that has some
  Block* lowest_ = nullptr;  // first block of the latest mapping: the next one may end there
  Use use_;
  // The most that was in use in this period and in the one before. A period lasts until some times
  // what the pool holds has been allocated: several steps.
  size_t peak_ = 0, last_peak_ = 0, period_ = 0;
};

// The pool of this process. In every program that this source is linked into, C++'s new takes
// blocks of 32 kB and more from it (vectors of weights, images, the scratch of operators); malloc
// does not. Not under AddressSanitizer and ThreadSanitizer, which watch malloc.
BlockPool::Use memory_pool_use();

// From the first call on, LibTorch's CPU tensors of 32 kB and more are blocks of the pool, too;
// smaller ones stay with LibTorch's own allocator. A tensor for which there is no memory is an
// OutOfMemory. Returns whether the pool is in use: not under the sanitizers.
bool install_memory_pool();

}  // namespace asmlp::nn
