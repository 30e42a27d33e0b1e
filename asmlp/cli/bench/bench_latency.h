// `asmlp bench --latency`: how long one image takes while several callers want theirs, as in a
// server.
#pragma once

#include <vector>

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/bench/bench_verify.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

// 1, 2, and as many as there are cores, each once: alone, the first that share, and one per core.
// More callers than cores only wait for each other.
std::vector<int> default_callers();

// One row: `callers` threads, each with an engine of its own on one packed model, run batches of
// one image back to back. The engines share the cores (ThreadPool::Share), as in any program that
// follows docs/guide/deploy.md. A caller's first options.warmup requests are not timed, its next
// options.runs are; it goes on until the last caller has finished, so that all timed requests meet
// the same load. The keys are explained in docs/results/speed.md. Errors of the engine's
// constructors; none is left waiting.
Json measure_latency(const BenchCase& bench_case, const Verification& verification,
                     const BenchOptions& options, int callers);

}  // namespace asmlp::cli
