// The command `asmlp`: everything that needs no LibTorch.
#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli/options/dense_backend.h"

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  const Arguments arguments(argv, static_cast<size_t>(argc));
  const AddCommand train = [&](CLI::App& program) {
    return add_other_command(program, kTorchProgram, "train", "Train a model", arguments);
  };
  const AddCommand serve = [&](CLI::App& program) {
    return add_other_command(program, kServeProgram, "serve", "Answer over HTTP", arguments);
  };
  return run_program(
      "asmlp", "AS-MLP vision models on the CPU",
      {add_info, add_predict,
       [&](CLI::App& program) { return add_detect(program, native_dense_backend(), arguments); },
       [&](CLI::App& program) { return add_segment(program, native_dense_backend(), arguments); },
       [&](CLI::App& program) { return add_validate(program, native_validators(arguments)); },
       add_convert, add_quantize, add_calibrate,
       [&](CLI::App& program) { return add_forward(program, native_backend(), arguments); },
       [&](CLI::App& program) { return add_bench(program, native_bench(arguments)); }, add_dataset,
       train, add_study, serve},
      argc, argv);
}
