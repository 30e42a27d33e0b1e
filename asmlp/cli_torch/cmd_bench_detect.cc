// asmlp bench --task detect
#include <fmt/format.h>

#include <memory>
#include <tuple>

#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/report/table.h"
#include "asmlp/cli_torch/bench_detect.h"
#include "asmlp/cli_torch/commands.h"

namespace asmlp::cli {
namespace {

constexpr const char* kFooter =
    "The backbone is computed on the fused operators and, in turns, eager of ATen operations as "
    "the authors\n"
    "wrote it, after both have given the same maps. docs/detection.md explains the figures.\n"
    "Examples:\n"
    "  asmlp bench --task detect\n"
    "  asmlp bench --task detect --model cascade_asmlp_tiny --size 480x640 --markdown";

struct Options {
  DetectBenchOptions bench;
  std::string task;
  std::string size = "800x1088";
  ReportOptions report;
};

std::string text_of(const Json& document, bool markdown) {
  const Json &fused = document["rows"][0], &eager = document["rows"][1];
  Table table({{"part"},
               {"ms", Align::kRight},
               {"min", Align::kRight},
               {"10-90 %", Align::kRight},
               {"share", Align::kRight},
               {"eager ms", Align::kRight},
               {"faster (min)", Align::kRight}});
  const double total = fused["parts_ms"]["total"]["median"].get<double>();
  for (const auto& [part, ms] : fused["parts_ms"].items()) {
    const auto number = [](const Json& json, const char* value) {
      return fmt::format("{:.1f}", json[value].get<double>());
    };
    const bool compared = fused["speedup"].contains(part);
    table.add_row(
        {part, number(ms, "median"), number(ms, "min"), number(ms, "p10") + "-" + number(ms, "p90"),
         fmt::format("{:.1f} %", 100 * ms["median"].get<double>() / total),
         compared ? number(eager["parts_ms"][part], "median") : "",
         compared ? fmt::format("{:.2f} x ({:.2f})", fused["speedup"][part]["median"].get<double>(),
                                fused["speedup"][part]["min"].get<double>())
                  : ""});
  }
  return fmt::format(
      "{}: image of {} x {} pixels (height x width), {} detections, {} threads, {} "
      "runs each; {}\n\n{}",
      fused["model"].get<std::string>(), fused["height"].get<int>(), fused["width"].get<int>(),
      fused["detections"].get<int64_t>(), fused["threads"].get<int>(), fused["runs"].get<int>(),
      document["machine"]["cpu"].get<std::string>(), markdown ? table.markdown() : table.str());
}

}  // namespace

Command add_bench_detect(CLI::App& program) {
  auto options = std::make_shared<Options>();
  DetectBenchOptions& bench = options->bench;
  CLI::App* app = add_subcommand(program, "bench", "Measure the parts of a detection", kFooter);
  app->add_option("--task", options->task, "detect (this command)")
      ->required()
      ->check(CLI::IsMember({"detect"}))
      ->type_name("NAME");
  app->add_option("-m,--model", bench.model,
                  "name of a detector, JSON file, or weights (.safetensors)")
      ->capture_default_str()
      ->type_name("NAME|FILE");
  app->add_option("--size", options->size, "of the resized image, height x width, up to 16384")
      ->capture_default_str()
      ->type_name("N|HxW");
  add_repetition_options(*app, bench.repetition, "detections");
  add_report_options(*app, options->report);
  return {app, [options] {
            DetectBenchOptions& bench = options->bench;
            std::tie(bench.height, bench.width) = parse_pair("--size", options->size, 'x');
            const Json document = measure_detection(bench);
            print_report(document, options->report, text_of);
            return kExitOk;
          }};
}

}  // namespace asmlp::cli
