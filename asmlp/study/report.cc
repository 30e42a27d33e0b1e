// The document of a study as text: tables for people, CSV for programs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "asmlp/core/printable.h"
#include "asmlp/report/table.h"
#include "asmlp/study/results.h"

namespace asmlp::study {
namespace {

std::string word(const Json& value) { return printable(value.get<std::string>()); }

// "a, b, c"
std::string words(const Json& list) {
  std::vector<std::string> all;
  for (const Json& one : list) all.push_back(word(one));
  return fmt::format("{}", fmt::join(all, ", "));
}

double number(const Json& row, const char* key) { return row[key].get<double>(); }

std::string count(const Json& value) {
  return value.is_number() ? group_digits(value.get<int64_t>()) : "-";
}

// Two values have a range, more a standard deviation.
std::string spread_text(const Json& row) {
  const size_t n = row["seeds"].size();
  if (n < 2) return "-";
  if (n == 2) return fmt::format("{:.2f}-{:.2f}", number(row, "min"), number(row, "max"));
  return fmt::format("{:.2f}", number(row, "deviation"));
}

// A number of the row with some digits, or "-".
std::string decimal(const Json& row, const char* key, int digits) {
  return row.contains(key) ? fmt::format("{:.{}f}", number(row, key), digits) : "-";
}

std::vector<std::string> comparison_cells(const Json& row) {
  if (row["baseline"] == true) return {"baseline", "", ""};
  if (!row.contains("difference")) return {"-", "-", "-"};
  return {fmt::format("{:+.2f}", number(row, "difference")), decimal(row, "standard_error", 2),
          row["verdict"].get<std::string>()};
}

bool any_row(const Json& document, const char* key) {
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      if (row.contains(key)) return true;
    }
  }
  return false;
}

// Columns that not every study has.
struct Parts {
  bool compared, claims, speed;
  explicit Parts(const Json& document)
      : compared(document.contains("baseline")),
        claims(any_row(document, "claim")),
        speed(any_row(document, "engine")) {}
};

Table group_table(const Json& group, const Parts& parts) {
  std::vector<Column> columns{{"variant"},
                              {"seeds", Align::kRight},
                              {"top-1 %", Align::kRight},
                              {"std. error", Align::kRight},
                              {"spread", Align::kRight},
                              {"parameters", Align::kRight},
                              {"multiply-adds", Align::kRight},
                              {"train images/s", Align::kRight}};
  if (parts.speed) {
    columns.insert(columns.end(),
                   {{"engine ms", Align::kRight}, {"engine images/s", Align::kRight}});
  }
  if (parts.compared) {
    columns.insert(columns.end(),
                   {{"difference", Align::kRight}, {"its std. error", Align::kRight}, {"verdict"}});
  }
  if (parts.claims) columns.push_back({"claim"});
  Table table(columns);
  for (const Json& row : group["rows"]) {
    std::vector<std::string> cells{
        row["name"].get<std::string>(),
        fmt::format("{}/{}", row["seeds"].size(), row["seeds_planned"].get<size_t>()),
        decimal(row, "mean", 2),
        decimal(row, "mean_error", 2),
        spread_text(row),
        count(row["parameters"]),
        count(row["multiply_adds"]),
        decimal(row, "images_per_second", 0)};
    if (parts.speed) {
      const Json engine = row.value("engine", Json::object());
      const double ms = engine.value("ms", 0.0);
      cells.push_back(decimal(engine, "ms", ms < 10 ? 2 : 1));
      cells.push_back(decimal(engine, "images_per_second", 0));
    }
    if (parts.compared) {
      for (std::string& cell : comparison_cells(row)) cells.push_back(std::move(cell));
    }
    if (parts.claims) {
      cells.push_back(row.contains("claim")
                          ? fmt::format("{}: {}", word(row["claim"]), word(row["claim_is"]))
                          : "");
    }
    table.add_row(std::move(cells));
  }
  return table;
}

// What is not in the table, and why.
std::string gaps(const Json& document) {
  std::vector<std::string> lines;
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      const std::string name = word(row["name"]);
      if (!row["missing"].empty()) {
        lines.push_back(fmt::format("- {}: not finished: seed {}\n", name,
                                    fmt::join(row["missing"].get<std::vector<uint64_t>>(), ", ")));
      }
      for (const Json& failure : row["failed"]) {
        std::string error = failure["error"].get<std::string>();
        std::replace(error.begin(), error.end(), '\n', ' ');
        error = printable(error);
        lines.push_back(fmt::format("- {}: seed {} failed: {}\n", name,
                                    failure["seed"].get<uint64_t>(), error));
      }
    }
  }
  std::string text;
  for (size_t k = 0; k < lines.size(); ++k) {  // the baseline stands in every group
    if (std::find(lines.begin(), lines.begin() + std::ptrdiff_t(k), lines[k]) ==
        lines.begin() + std::ptrdiff_t(k)) {
      text += lines[k];
    }
  }
  return text;
}

std::string header(const Json& document) {
  const Json& runs = document["runs"];
  std::string text = fmt::format(
      "{} of {} runs finished, {} failed, {} missing; {} epoch{} each; {}, {} core{} usable; "
      "asmlp {} (runs of commit {}); {}\n",
      runs["finished"].get<int>(), runs["planned"].get<int>(), runs["failed"].get<int>(),
      runs["missing"].get<int>(), document["epochs"].get<int>(), document["epochs"] == 1 ? "" : "s",
      word(document["machine"]["cpu"]), document["machine"]["cores"].get<int>(),
      document["machine"]["cores"] == 1 ? "" : "s", word(document["build"]["version"]),
      words(document["commits"]), word(document["date"]));
  return text;
}

// What the columns of speed were measured with; "" without them.
std::string speed_legend(const Json& document) {
  std::vector<std::string> how;
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      if (!row.contains("engine")) continue;
      const Json& engine = row["engine"];
      const std::string text = fmt::format(
          "batch 1 and batch {}, {}, {}, {} thread{}", engine.value("batch", 0),
          printable(engine.value("precision", "?")), printable(engine.value("isa", "?")),
          engine.value("threads", 0), engine.value("threads", 0) == 1 ? "" : "s");
      if (std::ranges::count(how, text) == 0) how.push_back(text);
    }
  }
  if (how.empty()) return "";
  return fmt::format(
      "engine ms, engine images/s: forward passes of the native engine ({}); -: a network that "
      "only "
      "LibTorch runs, or not measured.\n",
      fmt::join(how, "; "));
}

std::string legend(const Json& document) {
  std::string text = fmt::format(
      "top-1: validation images, last epoch, mean over the seeds; spread: sample standard "
      "deviation (of two seeds: both values); train images/s: of one training process on LibTorch, "
      "the fastest of its runs (processes x threads at a time: {}).\n",
      words(document["processes_x_threads"]));
  text += speed_legend(document);
  if (!document.contains("spread")) {
    return text + "Standard errors need at least two seeds of some variant; verdicts, of two.\n";
  }
  text += fmt::format(
      "std. error: of the mean, from the spread within all configurations of the study, {:.3f} "
      "with "
      "{} degrees of freedom.\n",
      document["spread"]["deviation"].get<double>(),
      document["spread"]["degrees_of_freedom"].get<int>());
  if (!document.contains("baseline") || !document.contains("residuals")) return text;
  const Json& residuals = document["residuals"];
  text += fmt::format(
      "difference: to the baseline ({}), seed by seed; its standard error comes from what is left "
      "of the spread without what the seeds have in common, {:.3f} with {} degrees of freedom. "
      "better, worse: by more than two standard errors, which chance alone does in about {:.0f} of "
      "100 comparisons; undecided: less than that, or one seed.\n",
      word(document["baseline"]), residuals["deviation"].get<double>(),
      residuals["degrees_of_freedom"].get<int>(),
      100 * residuals["chance_beyond_two_errors"].get<double>());
  if (Parts(document).claims) {
    text +=
        "claim: what the study's file says of the variant against the baseline, and whether "
        "these runs support it.\n";
  }
  return text;
}

std::string csv_cell(const Json& map, const std::string& key) {
  const Json value = map.contains(key) ? map[key] : Json();
  return value.is_null()           ? ""
         : value.is_string()       ? value.get<std::string>()
         : value.is_number_float() ? fmt::format("{:.6g}", value.get<double>())
                                   : value.dump();
}

}  // namespace

std::string study_text(const Json& document, StudyMarkup markup) {
  const bool plain = markup == StudyMarkup::kPlain;
  const std::string name = word(document["study"]);
  std::string text =
      fmt::format("{}{}{}", plain ? "study " : "# Study: ", name, plain ? ": " : "\n\n");
  text += header(document);
  const Parts parts(document);
  for (const Json& group : document["groups"]) {
    const std::string title = word(group["name"]);
    if (!title.empty()) text += fmt::format("\n{}{}\n", plain ? "" : "## ", title);
    text += '\n';
    const Table table = group_table(group, parts);
    text += plain ? table.str(2) : table.markdown();
  }
  if (const std::string missing = gaps(document); !missing.empty()) text += '\n' + missing;
  return text + '\n' + legend(document);
}

std::string study_csv(const Json& document) {
  const std::vector<std::string> keys{
      "mean",       "mean_error",    "deviation",         "min",        "max",
      "parameters", "multiply_adds", "images_per_second", "difference", "standard_error",
      "verdict",    "claim",         "claim_is",          "family"};
  // Keys of the row's map "engine".
  const std::vector<std::string> engine_keys{"ms", "images_per_second", "threads"};
  std::vector<std::string> titles{"group",         "variant",    "baseline",
                                  "seeds_planned", "seeds_done", "seeds_failed"};
  titles.insert(titles.end(), keys.begin(), keys.end());
  for (const std::string& key : engine_keys) titles.push_back("engine_" + key);
  std::string text = csv_line(titles);
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      std::vector<std::string> cells{
          group["name"].get<std::string>(),    row["name"].get<std::string>(),
          row["baseline"] == true ? "1" : "0", std::to_string(row["seeds_planned"].get<size_t>()),
          std::to_string(row["seeds"].size()), std::to_string(row["failed"].size())};
      for (const std::string& key : keys) cells.push_back(csv_cell(row, key));
      const Json engine = row.value("engine", Json::object());
      for (const std::string& key : engine_keys) cells.push_back(csv_cell(engine, key));
      text += csv_line(cells);
    }
  }
  return text;
}

}  // namespace asmlp::study
