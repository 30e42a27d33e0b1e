// What `asmlp-torch` adds to the commands of asmlp/cli. Users say `asmlp train ...` or
// `asmlp ... --backend torch`.
#pragma once

#include <span>

#include "asmlp/cli/terminal/program.h"
#include "asmlp/cli/options/runner.h"

namespace asmlp::cli {

// `arguments` is the whole command line: recipe and checkpoint named there give the defaults that
// --help shows and the other options override.
Command add_torch_train(CLI::App& program, std::span<const char* const> arguments);

// `bench --train` and `bench --task detect`.
Command add_bench_train(CLI::App& program);
Command add_bench_detect(CLI::App& program);

// `detect`, and `validate` and `convert` of a detector (commanded_task of cli/model_task.h).
Command add_torch_detect(CLI::App& program);
Command add_validate_detector(CLI::App& program);
Command add_convert_detector(CLI::App& program);

// `segment`, and `validate` and `convert` of a segmentor.
Command add_torch_segment(CLI::App& program);
Command add_validate_segmentor(CLI::App& program);
Command add_convert_segmentor(CLI::App& program);

// The LibTorch modules, for add_validate_on and add_forward_on (program.h). --isa is an
// Error(kInvalidArgument): it has no meaning there.
Backend torch_backend();

}  // namespace asmlp::cli
