// The arithmetic peak of the machine while something is measured: what its speed is a share of.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp::cli {

// How often the peak is taken while a case is timed.
inline constexpr int kPeakPieces = 6;

// Of every instruction that matters to one case.
class Peaks {
 public:
  Peaks(Isa isa, Precision precision, int threads);

  // Each instruction once, for a twentieth of a second: without one of its own, a precision is
  // computed by another's.
  void sample();

  // GFLOP/s that the instruction of the case allows it, the median of the samples: of bf16x3 on
  // bf16 tiles, which takes three products for each of the model's, a third of what the tiles do
  // (peak_loop counts it so).
  double own() const;

  // {"instruction", "isa", "gflops", "ratio" (of `gflops` to it), "measured"}.
  Json json(double gflops) const;

 private:
  ThreadPool pool_;
  Isa isa_;
  std::string instruction_;
  std::map<std::string, std::vector<double>> samples_;
};

}  // namespace asmlp::cli
