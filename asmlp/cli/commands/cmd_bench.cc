// asmlp bench: verified first, then timed against the peak of the same run.
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "asmlp/cli/bench/bench_cases.h"
#include "asmlp/cli/bench/bench_measure.h"
#include "asmlp/cli/bench/bench_plot.h"
#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/cli/bench/bench_verify.h"
#include "asmlp/cli/bench/cold_start.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/program.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/core/error.h"
#include "asmlp/report/machine.h"

namespace asmlp::cli {
namespace {

struct Options {
  BenchOptions bench;
  std::vector<std::string> from;
  std::string plot;
  bool markdown = false;
  OutputOptions output;
};

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
                                       "--cold-starts", std::to_string(options.starts)};
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

int run(const Options& options, const Backend& backend) {
  if (options.bench.first_logits) {
    print_json(first_logits(bench_cases(options.bench).at(0), backend));
    return kExitOk;
  }
  check_output(options.plot);
  require(options.plot.empty() || std::filesystem::path(options.plot).extension() == ".png",
          ErrorCode::kInvalidArgument, "--plot {}: is written as PNG; its name must end in .png",
          options.plot);
  const Json document = options.from.empty()
                            ? measure(options.bench, backend)
                            : read_bench_documents({options.from.begin(), options.from.end()});
  if (!options.plot.empty()) write_bench_plot(options.plot, document);
  if (options.output.json) {
    print_json(document);
  } else {
    print_out(bench_text(document, options.markdown ? Markup::kMarkdown : Markup::kPlain));
  }
  return kExitOk;
}

constexpr const char* kFooter =
    "Every row is verified against the portable fp32 kernels before anything is timed; a "
    "difference is\n"
    "an error. docs/benchmarks.md explains the figures and the keys of --json.\n"
    "Examples:\n"
    "  asmlp bench --batch 1,8 --precision fp32,bf16\n"
    "  asmlp bench --img-size 224,384,512,768,1024 --plot sizes.png\n"
    "  asmlp bench --model asmlp_mobile_patch4_shift5_224,variant.yaml --isa avx2 --json > r.json\n"
    "  asmlp bench --backend torch                     LibTorch in the same table\n"
    "  asmlp bench --from a.json b.json --markdown     earlier results in one table";

// Adds options and remembers them: they have no effect on rows that --from takes from files.
class MeasuringOptions {
 public:
  void add(CLI::Option* option, const std::string& group) {
    options_.push_back(option->group(group));
  }
  // Error(kInvalidArgument) when one was given.
  void check_unused() const {
    for (const CLI::Option* option : options_) {
      require(option->count() == 0, ErrorCode::kInvalidArgument,
              "{} has no effect on the rows of --from; leave one of them out", option->get_name());
    }
  }

 private:
  std::vector<const CLI::Option*> options_;
};

void add_row_options(CLI::App& app, BenchOptions& bench, MeasuringOptions& all) {
  const std::string group = "Rows (lists, separated by commas; every combination is a row)";
  all.add(app.add_option("-m,--model,--config", bench.models,
                         "zoo names and config files (.json, .yaml), which get deterministic "
                         "weights, or weight files; default asmlp_tiny_patch4_shift5_224")
              ->delimiter(',')
              ->type_name("NAME|FILE"),
          group);
  all.add(app.add_option("-b,--batch", bench.batches, "images per run (default 1)")
              ->delimiter(',')
              ->check(CLI::Range(1, 4096))
              ->type_name("N"),
          group);
  all.add(
      app.add_option("--img-size", bench.sizes, "side of the input in pixels; default: the model's")
          ->delimiter(',')
          ->check(CLI::Range(1, 16384))
          ->type_name("N"),
      group);
  all.add(app.add_option("--precision", bench.precisions,
                         "numbers of the matrix products: fp32 (default), bf16")
              ->delimiter(',')
              ->check(CLI::IsMember({"fp32", "bf16"}))
              ->type_name("NAME"),
          group);
  all.add(app.add_option("--isa", bench.isas,
                         "instruction sets (`asmlp info --cpu` lists them); default: $ASMLP_ISA "
                         "or the best")
              ->delimiter(',')
              ->type_name("NAME"),
          group);
}

void add_execution_options(CLI::App& app, const Backend& backend, BenchOptions& bench,
                           MeasuringOptions& all) {
  const std::string group = "Execution";
  bench.backend = backend.name;
  const bool native = backend.name == "native";
  all.add(app.add_option("--backend", bench.backend,
                         native ? "native (default), or torch: LibTorch's rows too, measured by "
                                  "asmlp-torch"
                                : "torch")
              ->check(native ? CLI::IsMember({"native", "torch"}) : CLI::IsMember({"torch"}))
              ->type_name("NAME"),
          group);
  all.add(
      app.add_option("-j,--threads", bench.threads, "threads; 0 takes every usable core (default)")
          ->check(CLI::Range(0, 256))
          ->type_name("N"),
      group);
  all.add(app.add_option("--runs", bench.runs, "timed runs per row (default 30)")
              ->check(CLI::Range(1, 1'000'000))
              ->type_name("N"),
          group);
  all.add(app.add_option("--warmup", bench.warmup, "runs before those (default 3)")
              ->check(CLI::Range(0, 1'000'000))
              ->type_name("N"),
          group);
  all.add(app.add_option("--cold-starts", bench.starts,
                         "fresh processes per row, for cold start and memory (default 5; 0: none)")
              ->check(CLI::Range(0, 1000))
              ->type_name("N"),
          group);
  if (native) {
    // Only a place in the help: the arguments go to asmlp-torch before anything is parsed.
    app.add_flag_function(
           "--train", [](int64_t) {},
           "instead: the speed of training steps (needs asmlp-torch; `asmlp bench --train --help`)")
        ->group(group);
    app.add_option_function<std::string>(
           "--task", [](const std::string&) {},
           "instead: the time of the parts of a detection (needs asmlp-torch; `asmlp bench --task "
           "detect --help`)")
        ->check(CLI::IsMember({"detect"}))
        ->type_name("NAME")
        ->group(group);
  }
  all.add(app.add_flag("--first-logits", bench.first_logits), "");  // not in the help
}

}  // namespace

Command add_bench_on(CLI::App& program, const Backend& backend) {
  auto options = std::make_shared<Options>();
  MeasuringOptions measuring;
  CLI::App* app = add_subcommand(
      program, "bench", "Measure speed, its share of the machine's peak, and memory", kFooter);
  add_row_options(*app, options->bench, measuring);
  add_execution_options(*app, backend, options->bench, measuring);
  app->add_option("--from", options->from, "put earlier --json documents in one table")
      ->type_name("FILE")
      ->group("Output");
  app->add_option("--plot", options->plot, "write a chart of the rows (PNG)")
      ->type_name("FILE.png")
      ->group("Output");
  add_output_options(*app, options->output);
  app->add_flag("--markdown", options->markdown, "print the tables as Markdown")
      ->excludes("--json")
      ->group("Output");
  return {app, [options, backend, measuring] {
            if (!options->from.empty()) measuring.check_unused();
            return run(*options, backend);
          }};
}

Command add_bench(CLI::App& program) { return add_bench_on(program, native_backend()); }

}  // namespace asmlp::cli
