// asmlp bench of a detector: the table of its parts.
#include <fmt/format.h>

#include <tuple>

#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/cli_torch/bench_detect.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

std::string detection_text(const Json& document, bool markdown) {
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
      printable(fused["model"].get<std::string>()), fused["height"].get<int>(),
      fused["width"].get<int>(), fused["detections"].get<int64_t>(), fused["threads"].get<int>(),
      fused["runs"].get<int>(), document["machine"]["cpu"].get<std::string>(),
      markdown ? table.markdown() : table.str());
}

}  // namespace

int bench_detection(const BenchRequest& request) {
  DetectBenchOptions bench;
  require(request.models.size() <= 1, ErrorCode::kInvalidArgument,
          "--model: one detector is measured at a time");
  if (!request.models.empty()) bench.model = request.models.front();
  if (!request.size.empty()) {
    std::tie(bench.height, bench.width) = parse_pair("--size", request.size, 'x');
  }
  bench.repetition = repetition_of(request, bench.repetition);
  print_report(measure_detection(bench), request, detection_text);
  return kExitOk;
}

}  // namespace asmlp::cli
