// The command `asmlp-torch`: what needs LibTorch. `asmlp` runs it; it can also be called directly.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "asmlp/cli_torch/commands.h"

namespace {

// LibTorch's threads are libgomp's, and those spin at every barrier: when anything else wants a
// core (a data loader is enough), each of the hundreds of barriers of a step waits for a spinning
// thread's time slice to end, and training becomes 3 to 10 times slower. Passive waiting costs a
// few per cent on an idle machine. libgomp reads the variable when it is loaded, that is before
// main: so this process starts itself again, once, with it set. A user's own setting is kept.
void wait_passively(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 1) != 0) return;
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  execv(self.c_str(), argv);
  // Not possible here (no /proc, say): it works all the same, only slower.
}

}  // namespace

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  wait_passively(argv);
  const std::span<const char* const> arguments(argv, static_cast<size_t>(argc));
  const Backend torch = torch_backend();
  const bool bench_training = measures_training(argc, argv);
  return run_program("asmlp-torch", "AS-MLP on LibTorch: training, and the native engine's check",
                     {[&](CLI::App& program) { return add_torch_train(program, arguments); },
                      [&](CLI::App& program) { return add_validate_on(program, torch); },
                      [&](CLI::App& program) { return add_forward_on(program, torch); },
                      [&](CLI::App& program) {
                        return bench_training ? add_bench_train(program)
                                              : add_bench_on(program, torch);
                      }},
                     argc, argv);
}
