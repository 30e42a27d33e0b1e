// The plans of the input sizes that were seen last.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "asmlp/core/arena.h"

namespace asmlp {

// Plans lie in the same memory, because one runs at a time: a larger size moves the block, and
// those of before are made again when they are needed.
template <typename P>
class PlanCache {
 public:
  // The plan of this size and of at least `batch` images; make() makes one.
  template <typename Make>
  P& get(int height, int width, int batch, const MemoryBlock& memory, const Make& make) {
    std::erase_if(plans_,
                  [&](const auto& plan) { return plan->generation != memory.generation(); });
    const auto found = std::ranges::find_if(plans_, [&](const auto& plan) {
      return plan->options.height == height && plan->options.width == width &&
             plan->options.max_batch >= batch;
    });
    if (found == plans_.end()) {
      if (plans_.size() == kMost) plans_.erase(plans_.begin());
      plans_.push_back(make());
    } else {
      std::rotate(found, found + 1, plans_.end());  // the last one is the youngest
    }
    return *plans_.back();
  }

 private:
  static constexpr size_t kMost = 8;
  std::vector<std::unique_ptr<P>> plans_;
};

}  // namespace asmlp
