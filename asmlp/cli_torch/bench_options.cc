#include "asmlp/cli_torch/bench_options.h"

namespace asmlp::cli {

Repetition repetition_of(const BenchRequest& request, Repetition otherwise) {
  return {request.threads, request.runs.value_or(otherwise.runs),
          request.warmup.value_or(otherwise.warmup)};
}

void print_report(const Json& document, const BenchRequest& request,
                  const std::function<std::string(const Json&, bool)>& text_of) {
  if (request.output.json) {
    print_json(document);
  } else {
    print_out(text_of(document, request.markdown));
  }
}

}  // namespace asmlp::cli
