#include "asmlp/cli_torch/bench_options.h"

namespace asmlp::cli {

void add_repetition_options(CLI::App& app, Repetition& repetition, const std::string& what) {
  app.add_option("-j,--threads", repetition.threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N");
  app.add_option("--runs", repetition.runs, "timed " + what + " of each kind")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  app.add_option("--warmup", repetition.warmup, what + " of each kind before those")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("N");
}

void add_report_options(CLI::App& app, ReportOptions& options) {
  add_output_options(app, options.output);
  app.add_flag("--markdown", options.markdown, "print the table as Markdown")->excludes("--json");
}

void print_report(const Json& document, const ReportOptions& options,
                  const std::function<std::string(const Json&, bool)>& text_of) {
  if (options.output.json) {
    print_json(document);
  } else {
    print_out(text_of(document, options.markdown));
  }
}

}  // namespace asmlp::cli
