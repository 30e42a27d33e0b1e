// What the fused operators of a training step cost, for `asmlp bench --train --profile`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace asmlp::nn {

// One call of an operator.
struct OpRecord {
  const char* name;  // "shift block", "mlp block", "linear", "norm"
  bool backward;
  int64_t channels;       // of the input
  int64_t multiply_adds;  // of its products, in samples that are computed
  int64_t bytes;          // of feature maps read and written, each pass over memory once
  double seconds;
};

// From now on every call is reported on the thread that made it; nullptr: none is (the default).
// Not while operators run.
void listen_to_operators(std::function<void(const OpRecord&)> listener);

// Reports from its beginning to its end; without a listener it costs a comparison.
class OpClock {
 public:
  OpClock(const char* name, bool backward, int64_t channels, int64_t multiply_adds, int64_t bytes);
  ~OpClock();
  OpClock(const OpClock&) = delete;
  OpClock& operator=(const OpClock&) = delete;

 private:
  OpRecord record_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace asmlp::nn
