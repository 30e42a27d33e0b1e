// asmlp bench --train: the table of training steps.
#include <fmt/format.h>

#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/cli_torch/bench_train.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/operator_profile.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

std::string training_text(const Json& document, bool markdown) {
  Table table({{"path"},
               {"precision"},
               {"format"},
               {"step ms", Align::kRight},
               {"min", Align::kRight},
               {"10-90 %", Align::kRight},
               {"forward", Align::kRight},
               {"backward", Align::kRight},
               {"update", Align::kRight},
               {"processor", Align::kRight},
               {"images/s", Align::kRight},
               {"of peak", Align::kRight},
               {"faster (min, processor)", Align::kRight},
               {"gradients differ", Align::kRight}});
  for (const Json& row : document["rows"]) {
    const auto ms = [&](const char* part, const char* value) {
      return fmt::format("{:.1f}", row[part][value].get<double>());
    };
    table.add_row(
        {row["path"].get<std::string>(), row["precision"].get<std::string>(),
         row["format"].get<std::string>(), ms("step_ms", "median"), ms("step_ms", "min"),
         ms("step_ms", "p10") + "-" + ms("step_ms", "p90"), ms("forward_ms", "median"),
         ms("backward_ms", "median"), ms("update_ms", "median"), ms("processor_ms", "median"),
         fmt::format("{:.2f}", row["images_per_second"].get<double>()),
         fmt::format("{:.1f} % of {}", 100 * row["peak"]["ratio"].get<double>(),
                     row["peak"]["instruction"].get<std::string>()),
         row.contains("speedup")
             ? fmt::format("{:.2f} x ({:.2f}, {:.2f})", row["speedup"]["median"].get<double>(),
                           row["speedup"]["min"].get<double>(),
                           row["speedup"]["processor"].get<double>())
             : "-",
         fmt::format("{:.1e}", row["verified"]["gradient_error"].get<double>())});
  }
  const Json& first = document["rows"][0];
  std::string text = fmt::format(
      "{}: {} x {} pixels, batch {}, {} threads, {} steps each; {}\n{}",
      printable(first["model"].get<std::string>()), first["img_size"].get<int>(),
      first["img_size"].get<int>(), first["batch"].get<int>(), first["threads"].get<int>(),
      first["runs"].get<int>(), document["machine"]["cpu"].get<std::string>(),
      markdown ? table.markdown() : table.str());
  for (const Json& row : document["rows"]) {
    if (!row.contains("operators")) continue;
    text += fmt::format("\nThe operators of a step, {}:\n{}", row["precision"].get<std::string>(),
                        profile_text(row["operators"], markdown));
  }
  return text;
}

}  // namespace

int bench_training(const BenchRequest& request) {
  TrainBenchOptions bench;
  bench.model = one_value(request.models, "--model", bench.model);
  bench.batch = one_value(request.batches, "--batch", bench.batch);
  bench.size = one_value(request.sizes, "--img-size", bench.size);
  if (!request.precisions.empty()) bench.precisions = request.precisions;
  if (!request.paths.empty()) bench.paths = request.paths;
  bench.profile = request.profile;
  bench.repetition = repetition_of(request, bench.repetition);
  print_report(measure_training(bench), request, training_text);
  return kExitOk;
}

}  // namespace asmlp::cli
