// The command `asmlp`: everything that needs no LibTorch.
#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/validate.h"

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  const Arguments arguments(argv, static_cast<size_t>(argc));
  const auto torch = [&](const char* name, const char* description) -> AddCommand {
    return
        [=](CLI::App& program) { return add_torch_command(program, name, description, arguments); };
  };
  return run_program(
      "asmlp", "AS-MLP vision models on the CPU",
      {add_info, add_predict, torch("detect", "Find objects: boxes, classes and masks"),
       torch("segment", "Tell the class of every pixel of images"),
       [&](CLI::App& program) { return add_validate(program, native_validators(arguments)); },
       add_convert, add_quantize,
       [&](CLI::App& program) { return add_forward(program, native_backend(), arguments); },
       [&](CLI::App& program) { return add_bench(program, native_bench(arguments)); }, add_dataset,
       torch("train", "Train a model"), add_study},
      argc, argv);
}
