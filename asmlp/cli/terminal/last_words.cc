#include "asmlp/cli/terminal/last_words.h"

#include <unistd.h>

#include <exception>
#include <string>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/out_of_memory.h"

namespace asmlp::cli {
namespace {

[[noreturn]] void say_last_words() {
  try {
    std::string message =
        "the program cannot go on: a library was refused a thread, memory or a file (see `ulimit "
        "-a`)";
    if (std::current_exception()) {
      try {
        throw;
      } catch (const std::exception& error) {
        message = explain_exception(error).message;
      }
    }
    print_error(message);
  } catch (...) {
    constexpr char kText[] = "error: the program cannot go on: there is no memory\n";
    static_cast<void>(!::write(STDERR_FILENO, kText, sizeof kText - 1));
  }
  ::_exit(kExitFailed);
}

}  // namespace

void report_uncaught_exceptions() { std::set_terminate(say_last_words); }

}  // namespace asmlp::cli
