// The command `asmlp-serve`: what needs cpp-httplib. `asmlp` runs it; it can also be called
// directly.
#include "asmlp/cli_serve/commands.h"

int main(int argc, char** argv) {
  using namespace asmlp::cli;
  return run_program("asmlp-serve", "AS-MLP vision models over HTTP", {add_serve}, argc, argv);
}
