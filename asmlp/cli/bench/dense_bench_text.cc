// The tables of measure_dense's document.
#include <fmt/format.h>

#include "asmlp/cli/bench/dense_bench.h"
#include "asmlp/core/printable.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

std::string shown(const Json& json) {
  return printable(json.is_string() ? json.get<std::string>() : json.dump());
}

// Milliseconds with three or four digits that mean something.
std::string ms_of(const Json& json, const char* value) {
  const double ms = json[value].get<double>();
  return fmt::format("{:.{}f}", ms, ms < 10 ? 3 : ms < 100 ? 2 : 1);
}

std::string factor_of(const Json& row, const std::string& part) {
  if (!row.contains("speedup") || !row["speedup"].contains(part)) return "";
  const Json& speedup = row["speedup"][part];
  return fmt::format("{:.2f} x ({:.2f})", speedup["median"].get<double>(),
                     speedup["min"].get<double>());
}

Table rows_table(const Json& rows) {
  Table table({{"model"},
               {"backend"},
               {"isa"},
               {"precision"},
               {"size", Align::kRight},
               {"batch", Align::kRight},
               {"threads", Align::kRight},
               {"ms", Align::kRight},
               {"min", Align::kRight},
               {"10-90 %", Align::kRight},
               {"images/s", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"peak", Align::kRight},
               {"of peak", Align::kRight},
               {"faster (min)", Align::kRight}});
  for (const Json& row : rows) {
    const Json &total = row["parts_ms"]["total"], &peak = row["peak"];
    table.add_row(
        {shown(row["model"]), shown(row["backend"]), shown(row["isa"]), shown(row["precision"]),
         fmt::format("{} x {}", row["height"].get<int>(), row["width"].get<int>()),
         shown(row["batch"]), shown(row["threads"]), ms_of(total, "median"), ms_of(total, "min"),
         ms_of(total, "p10") + "-" + ms_of(total, "p90"),
         fmt::format("{:.1f}", row["images_per_second"].get<double>()),
         fmt::format("{:.1f}", row["gflops"].get<double>()),
         fmt::format("{:.1f} {}", peak["gflops"].get<double>(), shown(peak["instruction"])),
         fmt::format("{:.1f} %", peak["ratio"].get<double>() * 100), factor_of(row, "total")});
  }
  return table;
}

Table parts_table(const Json& row) {
  Table table({{"part"},
               {"ms", Align::kRight},
               {"min", Align::kRight},
               {"10-90 %", Align::kRight},
               {"share", Align::kRight},
               {"GFLOP", Align::kRight},
               {"of peak", Align::kRight},
               {"faster (min)", Align::kRight}});
  const double total = row["parts_ms"]["total"]["median"].get<double>();
  for (const auto& [part, ms] : row["parts_ms"].items()) {
    const bool counted = row["parts_gflop"].contains(part);
    table.add_row(
        {part, ms_of(ms, "median"), ms_of(ms, "min"), ms_of(ms, "p10") + "-" + ms_of(ms, "p90"),
         fmt::format("{:.1f} %", 100 * ms["median"].get<double>() / total),
         counted ? fmt::format("{:.2f}", row["parts_gflop"][part].get<double>()) : "",
         counted ? fmt::format("{:.1f} %", 100 * row["parts_of_peak"][part].get<double>()) : "",
         factor_of(row, part)});
  }
  return table;
}

}  // namespace

std::string dense_bench_text(const Json& document, bool markdown) {
  const auto print = [&](const Table& table) { return markdown ? table.markdown() : table.str(); };
  const Json& rows = document["rows"];
  const int runs = rows[0]["runs"].get<int>();
  std::string text =
      fmt::format("{}; {} run{} of each row, in turns\n\n{}", shown(document["machine"]["cpu"]),
                  runs, runs == 1 ? "" : "s", print(rows_table(rows)));
  for (const Json& row : rows) {
    if (row["parts_ms"].size() < 2) continue;  // a backend that does not tell them
    text += fmt::format("\n{}, {}, {}, {}, {} x {} pixels (height x width)", shown(row["model"]),
                        shown(row["backend"]), shown(row["isa"]), shown(row["precision"]),
                        row["height"].get<int>(), row["width"].get<int>());
    if (row.contains("detections")) {
      text += fmt::format(", {} detections", row["detections"].get<int64_t>());
    }
    text += "\n\n" + print(parts_table(row));
  }
  return text;
}

}  // namespace asmlp::cli
