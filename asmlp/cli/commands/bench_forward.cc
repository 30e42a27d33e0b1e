// asmlp bench of forward passes: verified first, then timed against the peak of the same run.
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "asmlp/cli/bench/bench_latency.h"
#include "asmlp/cli/bench/bench_measure.h"
#include "asmlp/cli/bench/bench_plot.h"
#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/cli/bench/bench_verify.h"
#include "asmlp/cli/bench/cold_start.h"
#include "asmlp/cli/commands/bench.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/report/machine.h"

namespace asmlp::cli {
namespace {

std::string comma_list(const auto& values) { return fmt::format("{}", fmt::join(values, ",")); }

// The rows of asmlp-torch, which verifies and measures its own in its own processes.
Json torch_rows(const BenchOptions& options, const std::vector<BenchCase>& cases,
                const std::filesystem::path& program) {
  Json rows = Json::array();
  std::shared_ptr<const BenchModel> last;
  for (const BenchCase& c : cases) {
    if (c.run.precision != "fp32" || c.model == last) continue;
    last = c.model;
    std::vector<std::string> arguments{"bench",         "--json",
                                       "--model",       c.model->file.string(),
                                       "--batch",       comma_list(options.batches),
                                       "--threads",     std::to_string(options.threads),
                                       "--runs",        std::to_string(options.runs),
                                       "--warmup",      std::to_string(options.warmup),
                                       "--cold-starts", std::to_string(options.starts),
                                       "--task",        "classify"};
    if (!options.sizes.empty()) {
      arguments.insert(arguments.end(), {"--img-size", comma_list(options.sizes)});
    }
    const ChildOutcome child = run_child(program, arguments);
    const Json document = Json::parse(child.out, nullptr, false);
    if (document.is_object() && document.contains("error")) {
      fail(ErrorCode::kUnsupported, "{} bench: {}", program.string(),
           document["error"]["message"].get<std::string>());
    }
    require(child.code == kExitOk && document.is_object() && document.contains("rows"),
            ErrorCode::kIo, "{} bench: ended with code {}", program.string(), child.code);
    for (const Json& row : document["rows"]) rows.push_back(row);
  }
  return rows;
}

// What is known before anything is timed.
struct Verified {
  std::vector<BenchCase> cases;
  std::vector<Verification> verifications;  // of each case
};

Verified verify_cases(const BenchOptions& options, const Backend& backend) {
  Verified verified{.cases = bench_cases(options), .verifications = {}};
  for (const BenchCase& c : verified.cases) {
    for (const std::string& note : c.model->notes) print_note(note);
  }
  Verifier verifier(backend);
  Progress verifying("verify", static_cast<int64_t>(verified.cases.size()), "rows");
  for (const BenchCase& c : verified.cases) {
    verified.verifications.push_back(verifier.verify(c));
    verifying.update(static_cast<int64_t>(verified.verifications.size()), describe(c));
  }
  verifying.finish();
  return verified;
}

Json measure_latencies(const BenchOptions& options, const Backend& backend) {
  require(backend.name == "native" && options.backend == "native", ErrorCode::kUnsupported,
          "--latency: is measured on the native engine; use `asmlp bench` without --backend");
  Json document = measurement_document();
  const auto [cases, verifications] = verify_cases(options, backend);
  const std::vector<int> callers = options.callers.empty() ? default_callers() : options.callers;
  Progress timing("bench", static_cast<int64_t>(cases.size() * callers.size()), "rows");
  for (size_t k = 0; k < cases.size(); ++k) {
    for (int count : callers) {
      document["rows"].push_back(measure_latency(cases[k], verifications[k], options, count));
      timing.update(static_cast<int64_t>(document["rows"].size()),
                    fmt::format("{}, {} callers", describe(cases[k]), count));
    }
  }
  timing.finish();
  return document;
}

Json measure_speed(const BenchOptions& options, const Backend& backend) {
  const bool with_torch = backend.name == "native" && options.backend == "torch";
  std::filesystem::path torch;
  if (with_torch) {
    torch = find_torch_program("`--backend torch`");
    require(options.precisions.empty() || std::ranges::count(options.precisions, "fp32") > 0,
            ErrorCode::kUnsupported,
            "--backend torch: the LibTorch path computes in fp32; add it to --precision");
  }
  Json document = measurement_document();
  const auto [cases, verifications] = verify_cases(options, backend);
  // Before this process measures anything, so that LibTorch's check comes first too.
  const Json others = with_torch ? torch_rows(options, cases, torch) : Json::array();
  Progress timing("bench", static_cast<int64_t>(cases.size()), "rows");
  for (const BenchCase& c : cases) {
    const size_t k = document["rows"].size();
    document["rows"].push_back(measure_case(c, verifications[k], options, backend));
    timing.update(static_cast<int64_t>(k) + 1, describe(c));
  }
  timing.finish();
  for (const Json& row : others) document["rows"].push_back(row);
  return document;
}

// Classifiers' rows, with the defaults for what is not said.
BenchOptions options_of(const BenchRequest& request) {
  BenchOptions options;
  if (!request.models.empty()) options.models = request.models;
  if (!request.batches.empty()) options.batches = request.batches;
  if (!request.precisions.empty()) options.precisions = request.precisions;
  options.isas = request.isas;
  options.sizes = request.sizes;
  options.threads = request.threads;
  options.callers = request.callers;
  // A hundredth of the requests is above p99.
  if (request.latency) options.runs = 100;
  options.runs = request.runs.value_or(options.runs);
  options.warmup = request.warmup.value_or(options.warmup);
  options.starts = request.starts.value_or(options.starts);
  options.backend = request.backend;
  return options;
}

}  // namespace

int bench_forward(const BenchRequest& request, const Backend& backend) {
  const BenchOptions options = options_of(request);
  if (request.first_logits) {
    print_json(first_logits(bench_cases(options).at(0), backend));
    return kExitOk;
  }
  check_output(request.plot);
  require(request.plot.empty() || std::filesystem::path(request.plot).extension() == ".png",
          ErrorCode::kInvalidArgument, "--plot {}: is written as PNG; its name must end in .png",
          request.plot);
  const Json document = !request.from.empty()
                            ? read_bench_documents({request.from.begin(), request.from.end()})
                        : request.latency ? measure_latencies(options, backend)
                                          : measure_speed(options, backend);
  if (!request.plot.empty()) write_bench_plot(request.plot, document);
  if (request.output.json) {
    print_json(document);
  } else {
    print_out(bench_text(document, request.markdown ? Markup::kMarkdown : Markup::kPlain));
  }
  return kExitOk;
}

}  // namespace asmlp::cli
