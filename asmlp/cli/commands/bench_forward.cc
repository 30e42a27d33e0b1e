// asmlp bench of forward passes: verified first, then timed against the peak of the same run.
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

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
    if (c.model == last) continue;
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

Json measure(const BenchOptions& options, const Backend& backend) {
  const bool with_torch = backend.name == "native" && options.backend == "torch";
  std::filesystem::path torch;
  if (with_torch) {
    torch = find_torch_program("`--backend torch`");
    require(std::ranges::count(options.precisions, "fp32") > 0, ErrorCode::kUnsupported,
            "--backend torch: the LibTorch path computes in fp32; add it to --precision");
  }
  Json document = measurement_document();
  const std::vector<BenchCase> cases = bench_cases(options);
  for (const BenchCase& c : cases) {
    for (const std::string& note : c.model->notes) print_note(note);
  }
  const auto count = static_cast<int64_t>(cases.size());
  Verifier verifier(backend);
  std::vector<Verification> verifications;
  Progress verifying("verify", count, "rows");
  for (const BenchCase& c : cases) {
    verifications.push_back(verifier.verify(c));
    verifying.update(static_cast<int64_t>(verifications.size()), describe(c));
  }
  verifying.finish();
  // Before this process measures anything, so that LibTorch's check comes first too.
  const Json others = with_torch ? torch_rows(options, cases, torch) : Json::array();
  Progress timing("bench", count, "rows");
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
  const Json document = request.from.empty()
                            ? measure(options, backend)
                            : read_bench_documents({request.from.begin(), request.from.end()});
  if (!request.plot.empty()) write_bench_plot(request.plot, document);
  if (request.output.json) {
    print_json(document);
  } else {
    print_out(bench_text(document, request.markdown ? Markup::kMarkdown : Markup::kPlain));
  }
  return kExitOk;
}

}  // namespace asmlp::cli
