// From the start of a process to its first logits, and the memory that takes: measured on fresh
// processes, which is what a user's program is.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

struct ColdStart {
  std::vector<double> seconds;  // one per process
  int64_t peak_memory = 0;      // largest resident memory, median of the processes
};

// Starts this program again `starts` times, one after the other: each reads the case's weights
// (which are in the disk cache), packs them, plans, runs one batch and ends. The time is from
// before the process is made until its logits are there. Errors of the child are passed on.
ColdStart measure_cold_start(const BenchCase& bench_case, int starts);

// The child's part, `asmlp bench --first-logits`: {"logits_at_ns", "peak_memory_bytes"}, the former
// by the clock that all processes share.
Json first_logits(const BenchCase& bench_case, const Backend& backend);

}  // namespace asmlp::cli
