// Collects the runs of a mask (mask_rle.h).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace asmlp {

class RunWriter {
 public:
  // The next `length` pixels, in column-major order, are all `value`. Neighbors of one value
  // become one run; a length of 0 adds nothing.
  void add(bool value, uint32_t length) {
    if (length == 0) return;
    if (value != value_) {
      counts_.push_back(run_);
      run_ = 0;
      value_ = value;
    }
    run_ += length;
  }

  // The counts, the last run included; the writer is used up.
  std::vector<uint32_t> take() {
    counts_.push_back(run_);
    return std::move(counts_);
  }

 private:
  std::vector<uint32_t> counts_;
  uint32_t run_ = 0;
  bool value_ = false;
};

}  // namespace asmlp
