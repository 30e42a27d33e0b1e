// The end of a program by an exception that nobody could catch.
#pragma once

namespace asmlp::cli {

// From now on, an exception that ends the process (one of a library's own threads, or one that
// stops threads from being joined) is an error message and exit code 1, not an abort.
void report_uncaught_exceptions();

}  // namespace asmlp::cli
