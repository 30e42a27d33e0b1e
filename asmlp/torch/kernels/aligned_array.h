// Arrays that begin with a cache line. They come from operator new, which the memory pool of
// training programs (torch/ops/allocator.h) serves, as std::aligned_alloc is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "asmlp/core/aligned.h"

namespace asmlp::nn {

struct AlignedDelete {
  void operator()(void* p) const { ::operator delete (p, std::align_val_t{kAlignment}); }
};
template <typename T>
using AlignedArray = std::unique_ptr<T, AlignedDelete>;

// `count` numbers, not initialized. Error: std::bad_alloc.
template <typename T>
AlignedArray<T> make_aligned(int64_t count) {
  const size_t bytes = static_cast<size_t>(count) * sizeof(T);
  return AlignedArray<T>(static_cast<T*>(::operator new (bytes, std::align_val_t{kAlignment})));
}

}  // namespace asmlp::nn
