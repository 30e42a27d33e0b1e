// One row of `asmlp bench`: times, peak, steps, memory.
#pragma once

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/bench/bench_verify.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

// What a row of any kind begins with: model, weights, precision, sizes, counts, verification.
Json row_head(const BenchCase& bench_case, const Verification& verification);

// Measures a verified case. The row's keys are explained in docs/results/speed.md. The machine's
// peak is taken before, between and after the timed runs, on as many threads; the steps come from
// runs of their own.
Json measure_case(const BenchCase& bench_case, const Verification& verification,
                  const BenchOptions& options, const Backend& backend);

}  // namespace asmlp::cli
