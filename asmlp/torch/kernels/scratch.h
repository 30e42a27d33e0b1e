// Memory of the calling thread for what passes through the cache: rows of a block, packed strips.
// It is kept from call to call, so that a step asks the system for none.
#pragma once

#include <cstddef>
#include <cstdint>

namespace asmlp::nn {

// What was taken since its beginning is free again at its end; scopes nest. Use it on the thread
// that made it. Error: std::bad_alloc.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` values, aligned to a cache line, not initialized.
  template <typename T>
  T* take(int64_t count) {
    return static_cast<T*>(take_bytes(static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  static void* take_bytes(size_t bytes);
  size_t chunk_, used_;  // where the thread's memory was filled up to
};

}  // namespace asmlp::nn
