// What `asmlp-torch` adds to the commands of asmlp/cli. Users say `asmlp train ...` or
// `asmlp ... --backend torch`.
#pragma once

#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli/options/torch_program.h"
#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

// `arguments` is the whole command line: processes started by --nproc get it too.
Command add_train(CLI::App& program, Arguments arguments);

Command add_detect(CLI::App& program);
Command add_segment(CLI::App& program);

// LibTorch for every task.
Validators torch_validators();
int validate_detector(const ValidateOptions& options);
int validate_segmentor(const ValidateOptions& options);

BenchRunners torch_bench();
int bench_training(const BenchRequest& request);
int bench_detection(const BenchRequest& request);

// Error when the options name what only the native engine has: --isa, another --precision.
void check_torch_run(const RunOptions& run);

// The LibTorch modules, for classifiers. --isa is an Error(kInvalidArgument): it has no meaning
// there.
Backend torch_backend();

}  // namespace asmlp::cli
