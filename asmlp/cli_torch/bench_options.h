// What `bench --train` and `bench` of a detector have in common.
#pragma once

#include <functional>
#include <string>

#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/terminal/console.h"

namespace asmlp::cli {

struct Repetition {
  int threads = 0;  // 0: all usable cores
  int runs = 0;     // timed, of each kind
  int warmup = 0;   // of each kind before those
};
// The request's numbers, `otherwise` where it says nothing.
Repetition repetition_of(const BenchRequest& request, Repetition otherwise);

// The document as JSON, or what text_of(document, markdown) makes of it, on standard output.
void print_report(const Json& document, const BenchRequest& request,
                  const std::function<std::string(const Json&, bool)>& text_of);

}  // namespace asmlp::cli
