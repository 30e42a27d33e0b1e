// asmlp bench: what its kinds share. Forward passes of classifiers; with --train, training steps;
// of detectors, the parts of a detection.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/options/torch_program.h"

namespace asmlp::cli {

// Everything that can be said; what is left out has the default of the kind.
struct BenchRequest {
  TaskOption task;
  bool train = false;
  bool latency = false;
  std::vector<int> callers;  // of latency
  std::vector<std::string> models;
  std::vector<int> batches;
  std::vector<int> sizes;  // sides of square images, of classifiers
  std::string size;        // "HxW", of detectors
  std::vector<std::string> precisions;
  std::vector<std::string> isas;
  std::string backend;
  int threads = 0;  // 0: every usable core
  std::optional<int> runs, warmup, starts;
  bool first_logits = false;  // be a fresh process whose start is timed
  std::vector<std::string> from;
  std::string plot;
  bool markdown = false;
  OutputOptions output;
};

// What measures each kind in this program, prints, and returns the exit code.
struct BenchRunners {
  using Run = std::function<int(const BenchRequest& request)>;
  std::string backend;  // the name that --backend has for it
  Run forward, train, detect;
};

// The native engine's forward passes; everything else is handed over to asmlp-torch.
BenchRunners native_bench(Arguments arguments);

// Verified first, then timed against the peak of the same run. With the backend "torch" in the
// request and another one here, the rows of asmlp-torch too. With `latency`, its rows instead, of
// the native engine: Error(kUnsupported) for another backend.
int bench_forward(const BenchRequest& request, const Backend& backend);

}  // namespace asmlp::cli
