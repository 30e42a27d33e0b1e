// What `asmlp-torch` adds to the commands of asmlp/cli. Users say `asmlp train ...` or
// `asmlp ... --backend torch`.
#pragma once

#include <vector>

#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli/options/torch_program.h"
#include "asmlp/cli/terminal/program.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {

// `arguments` is the whole command line: processes started by --nproc get it too.
Command add_train(CLI::App& program, Arguments arguments);

// LibTorch for every task.
Validators torch_validators();

// LibTorch's forward passes and training steps; detectors and segmentors in turn on the native
// engine and on LibTorch.
BenchRunners torch_bench();
int bench_training(const BenchRequest& request);
// The one value of an option of training steps, or `otherwise`. Error(kInvalidArgument) for
// several.
template <typename T>
T one_value(const std::vector<T>& values, const char* option, T otherwise) {
  require(values.size() <= 1, ErrorCode::kInvalidArgument,
          "{}: training steps are measured for one value at a time", option);
  return values.empty() ? otherwise : values.front();
}
// Training steps of a detector or a segmentor, part by part.
int bench_dense_training(const BenchRequest& request, Task task);

// Error when the options name what only the native engine has: --isa, another --precision.
void check_torch_run(const RunOptions& run);

// The LibTorch modules, for classifiers. --isa is an Error(kInvalidArgument): it has no meaning
// there.
Backend torch_backend();

// The same of detectors and segmentors, in fp32.
DenseBackend torch_dense_backend();

}  // namespace asmlp::cli
