// The command `asmlp-torch`: what needs LibTorch. `asmlp` runs it; it can also be called directly.
#include "asmlp/cli_torch/commands.h"

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  const std::span<const char* const> arguments(argv, static_cast<size_t>(argc));
  const auto train = [&](CLI::App& program) { return add_torch_train(program, arguments); };
  return run_program("asmlp-torch", "AS-MLP on LibTorch: training, and the native engine's check",
                     {train}, argc, argv);
}
