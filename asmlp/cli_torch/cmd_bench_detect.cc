// asmlp bench --task detect
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "asmlp/cli/options.h"
#include "asmlp/cli/table.h"
#include "asmlp/cli_torch/bench_detect.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

constexpr const char* kFooter =
    "The backbone is computed on the fused operators and, in turns, composed of ATen operations as "
    "the authors\n"
    "wrote it, after both have given the same maps. docs/detection.md explains the figures.\n"
    "Examples:\n"
    "  asmlp bench --task detect\n"
    "  asmlp bench --task detect --model cascade_asmlp_tiny --size 480x640 --markdown";

struct Options {
  DetectBenchOptions bench;
  std::string task;
  std::string size;
  bool markdown = false;
  OutputOptions output;
};

// "HxW".
void parse_size(const std::string& text, DetectBenchOptions& bench) {
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&](int& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc() && value >= 1 && value <= 16384;
  };
  require(number(bench.height) && at != end && *at++ == 'x' && number(bench.width) && at == end,
          ErrorCode::kInvalidArgument, "--size {}: expected HxW with sides in 1..16384", text);
}

std::string text_of(const Json& document, bool markdown) {
  const Json &fused = document["rows"][0], &composed = document["rows"][1];
  Table table({{"part"},
               {"ms", Align::kRight},
               {"min", Align::kRight},
               {"10-90 %", Align::kRight},
               {"share", Align::kRight},
               {"composed ms", Align::kRight},
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
         compared ? number(composed["parts_ms"][part], "median") : "",
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
  app->add_option("--size", options->size, "of the resized image (default 800x1088)")
      ->type_name("HxW");
  app->add_option("-j,--threads", bench.threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N");
  app->add_option("--runs", bench.runs, "timed detections of each kind")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  app->add_option("--warmup", bench.warmup, "detections of each kind before those")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("N");
  add_output_options(*app, options->output);
  app->add_flag("--markdown", options->markdown, "print the table as Markdown")->excludes("--json");
  return {app, [options] {
            if (!options->size.empty()) parse_size(options->size, options->bench);
            const Json document = measure_detection(options->bench);
            if (options->output.json) {
              print_json(document);
            } else {
              print_out(text_of(document, options->markdown));
            }
            return kExitOk;
          }};
}

}  // namespace asmlp::cli
