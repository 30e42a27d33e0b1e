#include "asmlp/cli/bench/bench_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/model/zoo.h"
#include "asmlp/report/table.h"
#include "asmlp/schema/text.h"

namespace asmlp::cli {
namespace {

double number(const Json& json) { return json.get<double>(); }
// A document may come from anywhere (--report).
std::string word(const Json& json) {
  return printable(json.is_string() ? json.get<std::string>() : json.dump());
}
std::string percent(double share) { return fmt::format("{:.1f} %", share * 100); }

// Milliseconds with three or four digits that mean something.
std::string ms(double value) {
  return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 100 ? 2 : 1);
}

// The columns that tell rows apart, and their cells.
const std::vector<Column> kRowColumns{{"model"},
                                      {"backend"},
                                      {"isa"},
                                      {"precision"},
                                      {"size", Align::kRight},
                                      {"batch", Align::kRight}};

std::vector<std::string> row_cells(const Json& row) {
  return {word(row["model"]),     word(row["backend"]),  word(row["isa"]),
          word(row["precision"]), word(row["img_size"]), word(row["batch"])};
}

Table make_table(const std::vector<std::string>& titles) {
  std::vector<Column> columns = kRowColumns;
  for (const std::string& title : titles) columns.push_back({title, Align::kRight});
  return Table(columns);
}

Table speed_table(const Json& document) {
  Table table = make_table(
      {"threads", "ms", "min", "10-90 %", "ms/image", "images/s", "GFLOP/s", "peak", "of peak"});
  for (const Json& row : document["rows"]) {
    if (is_latency_row(row)) continue;
    const Json& latency = row["latency_ms"];
    std::vector<std::string> cells = row_cells(row);
    for (const std::string& cell :
         {word(row["threads"]), ms(number(latency["median"])), ms(number(latency["min"])),
          ms(number(latency["p10"])) + "-" + ms(number(latency["p90"])),
          ms(number(row["ms_per_image"])), fmt::format("{:.1f}", number(row["images_per_second"])),
          fmt::format("{:.1f}", number(row["gflops"])),
          fmt::format("{:.1f} {}", number(row["peak"]["gflops"]), word(row["peak"]["instruction"])),
          percent(number(row["peak"]["ratio"]))}) {
      cells.push_back(cell);
    }
    table.add_row(cells);
  }
  return table;
}

Table check_table(const Json& document) {
  Table table = make_table(
      {"verified at", "difference", "allowed", "cold start ms", "peak memory", "weights"});
  for (const Json& row : document["rows"]) {
    if (is_latency_row(row)) continue;
    const Json& verified = row["verified"];
    const bool cold = row.contains("cold_start_ms");
    std::vector<std::string> cells = row_cells(row);
    for (const std::string& cell : {fmt::format("{0} x {0}", word(verified["img_size"])),
                                    fmt::format("{:.1e}", number(verified["relative_error"])),
                                    fmt::format("{:.0e}", number(verified["tolerance"])),
                                    cold ? ms(number(row["cold_start_ms"]["median"])) : "-",
                                    cold ? format_bytes(number(row["peak_memory_bytes"])) : "-",
                                    format_bytes(number(row["weight_bytes"]))}) {
      cells.push_back(cell);
    }
    table.add_row(cells);
  }
  return table;
}

// The percentiles of --latency.
Table latency_table(const Json& document) {
  Table table = make_table(
      {"callers", "threads", "p50 ms", "p90 ms", "p99 ms", "max ms", "images/s", "difference"});
  for (const Json& row : document["rows"]) {
    if (!is_latency_row(row)) continue;
    const Json& latency = row["latency_ms"];
    std::vector<std::string> cells = row_cells(row);
    for (const std::string& cell :
         {word(row["callers"]), word(row["threads"]), ms(number(latency["p50"])),
          ms(number(latency["p90"])), ms(number(latency["p99"])), ms(number(latency["max"])),
          fmt::format("{:.1f}", number(row["images_per_second"])),
          fmt::format("{:.1e}", number(row["verified"]["relative_error"]))}) {
      cells.push_back(cell);
    }
    table.add_row(cells);
  }
  return table;
}

// A line per step, a column per stage, and the step's sum over the stages.
Table step_table(const Json& row) {
  std::vector<std::string> names;
  int stages = 0;
  for (const Json& step : row["steps"]) {
    const std::string name = word(step["name"]);
    if (std::ranges::count(names, name) == 0) names.push_back(name);
    stages = std::max(stages, step["stage"].get<int>() + 1);
  }
  std::vector<Column> columns{{"step"}};
  const bool head = std::ranges::count(names, "head") > 0;
  for (int s = 0; s < stages; ++s) {
    const bool last = head && s == stages - 1;
    columns.push_back({last ? "end" : fmt::format("stage {}", s), Align::kRight});
  }
  for (const char* title : {"ms", "share", "GFLOP/s", "of peak"}) {
    columns.push_back({title, Align::kRight});
  }
  Table table(columns);
  const double peak = number(row["peak"]["gflops"]);
  const auto add_line = [&](const std::string& title, const auto& belongs) {
    std::vector<double> stage_ms(static_cast<size_t>(stages)), stage_gflop(stage_ms);
    double total_ms = 0, total_gflop = 0, share = 0;
    for (const Json& step : row["steps"]) {
      if (!belongs(step)) continue;
      const auto stage = step["stage"].get<size_t>();
      const double gflop = number(step["gflops"]) * number(step["ms"]) * 1e-3;
      stage_ms[stage] += number(step["ms"]);
      stage_gflop[stage] += gflop;
      total_ms += number(step["ms"]);
      total_gflop += gflop;
      share += number(step["share"]);
    }
    const auto rate = [](double gflop, double milliseconds) {
      return milliseconds > 0 ? gflop / milliseconds * 1e3 : 0;
    };
    std::vector<std::string> cells{title};
    for (size_t s = 0; s < stage_ms.size(); ++s) {
      const double gflops = rate(stage_gflop[s], stage_ms[s]);
      cells.push_back(stage_ms[s] == 0 ? "-"
                      : gflops == 0
                          ? ms(stage_ms[s])
                          : fmt::format("{} ({:.0f} %)", ms(stage_ms[s]), gflops / peak * 100));
    }
    const double gflops = rate(total_gflop, total_ms);
    cells.insert(cells.end(),
                 {ms(total_ms), percent(share), gflops > 0 ? fmt::format("{:.1f}", gflops) : "-",
                  gflops > 0 ? percent(gflops / peak) : "-"});
    table.add_row(cells);
  };
  for (const std::string& name : names) {
    add_line(name, [&](const Json& step) { return step["name"] == name; });
  }
  add_line("all", [](const Json&) { return true; });
  return table;
}

std::string header(const Json& document) {
  const Json& machine = document["machine"];
  const Json& build = document["build"];
  return fmt::format("{}, {} cores usable; asmlp {} ({}), {}, {}; {}\n", word(machine["cpu"]),
                     word(machine["cores"]), word(build["version"]), word(build["commit"]),
                     word(build["compiler"]), word(build["type"]), word(document["date"]));
}

}  // namespace

Json read_bench_documents(const std::vector<std::filesystem::path>& files) {
  Json all;
  for (const auto& file : files) {
    const std::string text = read_file(file);
    Json document = is_parsable_json(text) ? Json::parse(text, nullptr, false) : Json();
    bool fits = document.is_object();
    for (const char* key : {"machine", "build", "date", "rows"}) {
      fits = fits && document.contains(key);
    }
    require(fits && document["rows"].is_array(), ErrorCode::kBadFormat,
            "{}: not a document of `asmlp bench --json`", file.string());
    if (all.is_null()) {
      all = std::move(document);
      continue;
    }
    for (const char* key : {"machine", "build"}) {
      require(document[key] == all[key], ErrorCode::kMismatch,
              "{}: its {} is {}, that of {} is {}; they do not belong in one table", file.string(),
              key, document[key].dump(), files[0].string(), all[key].dump());
    }
    for (Json& row : document["rows"]) all["rows"].push_back(std::move(row));
  }
  return all;
}

bool is_latency_row(const Json& row) { return row.contains("callers"); }

std::string bench_text(const Json& document, Markup markup) {
  const bool plain = markup == Markup::kPlain;
  std::string text = header(document);
  const auto add = [&](const std::string& title, const std::string& words, const Table& table) {
    text += '\n' + (plain ? title + ": " + words + '\n' : "## " + title + "\n\n" + words + "\n\n");
    text += plain ? table.str(2) : table.markdown();
  };
  const Json& rows = document["rows"];
  const bool latencies = std::ranges::any_of(rows, is_latency_row);
  std::string checks = "logits against the reference kernels in fp32, relative to the largest";
  const bool filled = std::ranges::any_of(
      rows, [](const Json& row) { return word(row["weights"]) == "deterministic"; });
  const std::string weights =
      filled ? "; zoo names and configs have deterministic weights, speed does not depend on them"
             : "";
  if (!std::ranges::all_of(rows, is_latency_row)) {
    add("Speed",
        "a run is a batch; ms is the median; the peak is what the instruction allows, measured "
        "between the runs, in GFLOP/s",
        speed_table(document));
    add("Checks and memory", checks + "; cold start and peak memory of fresh processes" + weights,
        check_table(document));
  }
  if (latencies) {
    add("Latency",
        "ms of one image while that many callers, each with an engine of its own on one packed "
        "model, ask for theirs back to back; images/s of all together; difference: " +
            checks + weights,
        latency_table(document));
  }
  for (const Json& row : rows) {
    if (is_latency_row(row) || row["steps"].empty()) continue;
    add(fmt::format("Steps of {}, {}, {}, {} x {}, batch {}", word(row["model"]), word(row["isa"]),
                    word(row["precision"]), word(row["img_size"]), word(row["img_size"]),
                    word(row["batch"])),
        "ms per run and, in brackets, the share of the peak", step_table(row));
  }
  return text;
}

std::string short_model_name(const std::string& name) {
  const std::vector<std::string> names = zoo_names();
  if (std::ranges::count(names, name) == 0) return name;
  const size_t begin = name.find('_') + 1;
  return name.substr(begin, name.find('_', begin) - begin);
}

}  // namespace asmlp::cli
