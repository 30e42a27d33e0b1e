// The command `asmlp-torch`: what needs LibTorch. `asmlp` runs it; it can also be called directly.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli_torch/commands.h"

namespace {

// LibTorch's threads are libgomp's, and those spin at every barrier for milliseconds: when anything
// else wants a core (a data loader is enough), each of the hundreds of barriers of a step waits for
// a spinning thread's time slice to end, and training becomes 3 to 10 times slower. Not to spin at
// all costs 5 % on an idle machine, where a thread then sleeps at each of them. So they spin for
// some tenths of a millisecond. A user's own setting is kept.
bool wait_briefly() {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return false;
  return setenv("GOMP_SPINCOUNT", "20000", 1) == 0;
}

// OpenBLAS takes a CPU that is younger than itself for a Prescott of 2004 and multiplies matrices
// with SSE3. It is told the nearest kind that it knows.
bool name_the_cpu() {
#if defined(__x86_64__)
  if (std::getenv("OPENBLAS_CORETYPE")) return false;
  using CoreName = const char* (*)();
  const auto core_name = reinterpret_cast<CoreName>(::dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  if (!core_name || std::string(core_name()) != "Prescott") return false;
  const char* core = nullptr;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) core = "Haswell";
  if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) core = "SkylakeX";
  return core && setenv("OPENBLAS_CORETYPE", core, 1) == 0;
#else
  return false;
#endif
}

// Both libraries read their variables when they are loaded, that is before main: so this process
// starts itself again, once, with them set.
void set_up_libraries(char** argv) {
  const bool waits = wait_briefly(), named = name_the_cpu();
  if (!waits && !named) return;
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  execv(self.c_str(), argv);
  // Not possible here (no /proc, say): it works all the same, only slower.
}

}  // namespace

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  set_up_libraries(argv);
  const Arguments arguments(argv, static_cast<size_t>(argc));
  const int code = run_program(
      "asmlp-torch",
      "AS-MLP on LibTorch: training, and a second opinion on what the native engine computes",
      {[&](CLI::App& program) { return add_train(program, arguments); },
       [&](CLI::App& program) { return add_detect(program, torch_dense_backend(), arguments); },
       [&](CLI::App& program) { return add_segment(program, torch_dense_backend(), arguments); },
       [&](CLI::App& program) { return add_validate(program, torch_validators()); }, add_convert,
       [&](CLI::App& program) { return add_forward(program, torch_backend(), arguments); },
       [&](CLI::App& program) { return add_bench(program, torch_bench()); }},
      argc, argv);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which report at the end
  // Everything is written and closed. OpenBLAS's ending waits for all threads that it wanted, also
  // for those that the system has refused, and crashes.
  end_process(code);
#endif
  return code;
}
