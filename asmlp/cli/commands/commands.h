// The subcommands of `asmlp`, one per source file.
#pragma once

#include "asmlp/cli/options/torch_program.h"
#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

struct Backend;
struct BenchRunners;
struct DenseBackend;
struct Validators;

Command add_info(CLI::App& program);
Command add_predict(CLI::App& program);
Command add_convert(CLI::App& program);
Command add_quantize(CLI::App& program);
Command add_calibrate(CLI::App& program);
Command add_dataset(CLI::App& program);
Command add_study(CLI::App& program);

// On the backend given: the native engine's, or LibTorch's in asmlp-torch. A command line that
// names the other backend is handed over.
Command add_forward(CLI::App& program, const Backend& backend, Arguments arguments);
Command add_detect(CLI::App& program, const DenseBackend& backend, Arguments arguments);
Command add_segment(CLI::App& program, const DenseBackend& backend, Arguments arguments);

// With what computes each task here (validate.h, bench.h).
Command add_validate(CLI::App& program, const Validators& validators);
Command add_bench(CLI::App& program, const BenchRunners& runners);

}  // namespace asmlp::cli
