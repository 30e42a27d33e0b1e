// Zeroed, cache-line-aligned memory for kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace asmlp {

inline constexpr size_t kAlignment = 64;  // bytes: a cache line, and an AVX-512 register

inline int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// `count` floats, zero, aligned to kAlignment. Movable, not copyable.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(int64_t count) : count_(count) {
    if (count == 0) return;
    const auto bytes = static_cast<size_t>(
        round_up(count * int64_t{sizeof(float)}, static_cast<int64_t>(kAlignment)));
    data_.reset(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_.get(), 0, bytes);
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  int64_t size() const { return count_; }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t count_ = 0;
};

}  // namespace asmlp
