// The command `asmlp`: everything that needs no LibTorch.
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/program.h"

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  std::vector<AddCommand> commands{add_info,     add_predict, add_detect,  add_segment,
                                   add_validate, add_convert, add_forward, add_bench,
                                   add_dataset,  add_train,   add_study};
  const std::optional<std::string> what = what_needs_torch(argc, argv);
  if (what) {
    // Whatever follows is asmlp-torch's to parse; run_program only reports that it is missing.
    const auto hand_over = [&](CLI::App&) -> Command { exec_torch(*what, argc, argv); };
    commands = {hand_over};
  }
  return run_program("asmlp", "AS-MLP vision models on the CPU", commands, argc, argv);
}
