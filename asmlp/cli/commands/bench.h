// asmlp bench: what its kinds share. Forward passes of classifiers; with --train, training steps;
// of detectors and segmentors, the parts of a result.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/bench/repetition.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/options/task_option.h"
#include "asmlp/cli/options/torch_program.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

// Everything that can be said; what is left out has the default of the kind.
struct BenchRequest {
  TaskOption task;
  bool train = false;
  std::vector<std::string> paths;  // of training steps
  bool profile = false;            // of training steps
  bool latency = false;
  std::vector<int> callers;  // of latency
  std::vector<std::string> models;
  std::vector<int> batches;
  std::vector<int> sizes;  // sides of square images, of classifiers
  std::string size;        // "HxW", of detectors and segmentors
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
  Run forward, detect, segment;
  std::function<int(const BenchRequest& request, Task task)> train;
};

// The native engine; training steps, and rows of detectors and segmentors on both backends, are
// handed over to asmlp-torch.
BenchRunners native_bench(Arguments arguments);

// Verified first, then timed against the peak of the same run. With the backend "torch" in the
// request and another one here, the rows of asmlp-torch too. With `latency`, its rows instead, of
// the native engine: Error(kUnsupported) for another backend.
int bench_forward(const BenchRequest& request, const Backend& backend);

// The parts of a detector's or segmentor's results on the backends in turn, the native one first.
int bench_dense(const BenchRequest& request, Task task, std::span<const DenseBackend> backends);

// The request's numbers, `otherwise` where it says nothing.
Repetition repetition_of(const BenchRequest& request, Repetition otherwise);

// The document as JSON, or what text_of(document, markdown) makes of it, on standard output.
void print_report(const Json& document, const BenchRequest& request,
                  const std::function<std::string(const Json&, bool)>& text_of);

}  // namespace asmlp::cli
