// One block of memory for everything whose size is known beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "asmlp/core/aligned.h"

namespace asmlp {

// Memory that several arenas use in turn, as long as none needs what another left there.
class MemoryBlock {
 public:
  // At least `bytes`, aligned to kAlignment. Where there was less, it is another block than before
  // and zero; what pointed into the old one is lost. Errors: Arena::allocate's.
  std::byte* grown_to(int64_t bytes);
  // Changes whenever the block does.
  int64_t generation() const { return generation_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<std::byte> memory_;
  int64_t bytes_ = 0;
  int64_t generation_ = 0;
};

// Buffers are reserved first, then allocated together, zeroed and each aligned to kAlignment. Pages
// that are never touched take no memory; large blocks use huge pages where the system offers them.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&&) noexcept = default;
  Arena& operator=(Arena&&) noexcept = default;

  // `buffer` will point to `count` objects; it must stay where it is until allocate().
  template <typename T>
  void reserve(T*& buffer, int64_t count) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T*) == sizeof(void*));
    places_.push_back({[](void* pointer, std::byte* memory) {
                         *static_cast<T**>(pointer) = reinterpret_cast<T*>(memory);
                       },
                       &buffer, bytes_});
    bytes_ += round_up(count * int64_t{sizeof(T)}, int64_t{kAlignment});
  }

  // Bytes reserved so far.
  int64_t bytes() const { return bytes_; }

  // Sets every reserved pointer. Error(kTooLarge) when the machine has no memory of that size,
  // OutOfMemory when the system refuses it to this process.
  void allocate();
  // The same in memory of somebody else's, where nothing is zeroed.
  void allocate(MemoryBlock& block);

 private:
  struct Place {
    void (*set)(void* pointer, std::byte* memory);
    void* pointer;
    int64_t offset;
  };
  void place(std::byte* memory);

  std::vector<Place> places_;
  int64_t bytes_ = 0;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace asmlp
