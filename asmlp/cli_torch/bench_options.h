// What `bench --train` and `bench --task detect` have in common on the command line.
#pragma once

#include <functional>
#include <string>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/options/options.h"

namespace asmlp::cli {

struct Repetition {
  int threads = 0;  // 0: all usable cores
  int runs = 0;     // timed, of each kind
  int warmup = 0;   // of each kind before those
};
// --threads, --runs and --warmup; `what` is done again and again ("steps").
void add_repetition_options(CLI::App& app, Repetition& repetition, const std::string& what);

struct ReportOptions {
  bool markdown = false;
  OutputOptions output;
};
// --json, --verbose and --markdown.
void add_report_options(CLI::App& app, ReportOptions& options);

// The document as JSON, or what text_of(document, markdown) makes of it, on standard output.
void print_report(const Json& document, const ReportOptions& options,
                  const std::function<std::string(const Json&, bool)>& text_of);

}  // namespace asmlp::cli
