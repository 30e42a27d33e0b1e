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

std::vector<std::string> comparison_cells(const Json& row) {
  if (row["baseline"] == true) return {"baseline", "", ""};
  if (!row.contains("difference")) return {"-", "-", "-"};
  return {fmt::format("{:+.2f}", number(row, "difference")),
          fmt::format("{:.2f}", number(row, "standard_error")), row["verdict"].get<std::string>()};
}

Table group_table(const Json& group, bool compared) {
  std::vector<Column> columns{{"variant"},
                              {"seeds", Align::kRight},
                              {"top-1 %", Align::kRight},
                              {"spread", Align::kRight},
                              {"parameters", Align::kRight},
                              {"multiply-adds", Align::kRight},
                              {"images/s", Align::kRight}};
  if (compared) {
    columns.insert(
        columns.end(),
        {{"difference", Align::kRight}, {"std. error", Align::kRight}, {"beyond 2 errors"}});
  }
  Table table(columns);
  for (const Json& row : group["rows"]) {
    const bool any = row.contains("mean");
    std::vector<std::string> cells{
        row["name"].get<std::string>(),
        fmt::format("{}/{}", row["seeds"].size(), row["seeds_planned"].get<size_t>()),
        any ? fmt::format("{:.2f}", number(row, "mean")) : "-",
        spread_text(row),
        count(row["parameters"]),
        count(row["multiply_adds"]),
        any ? fmt::format("{:.0f}", number(row, "images_per_second")) : "-"};
    if (compared) {
      for (std::string& cell : comparison_cells(row)) cells.push_back(std::move(cell));
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
      "{} of {} runs finished, {} failed, {} missing; {} epochs each; {}, {} cores usable; asmlp "
      "{} "
      "(runs of commit {}); {}\n",
      runs["finished"].get<int>(), runs["planned"].get<int>(), runs["failed"].get<int>(),
      runs["missing"].get<int>(), document["epochs"].get<int>(), word(document["machine"]["cpu"]),
      document["machine"]["cores"].get<int>(), word(document["build"]["version"]),
      words(document["commits"]), word(document["date"]));
  return text;
}

std::string legend(const Json& document) {
  std::string text = fmt::format(
      "top-1: validation images, last epoch, mean over the seeds; spread: sample standard "
      "deviation (of two seeds: both values); images/s: training, of one process, the fastest of "
      "its runs (processes x threads at a time: {}).\n",
      words(document["processes_x_threads"]));
  if (!document.contains("baseline")) return text;
  if (!document.contains("spread")) {
    return text + "Differences need at least two seeds of some variant.\n";
  }
  return text + fmt::format(
                    "difference: to the baseline ({}); its standard error comes from the spread "
                    "within all configurations of the study, {:.3f} with {} degrees of freedom. "
                    "higher, lower: by more than two standard errors, which chance alone does in "
                    "about one comparison of twenty.\n",
                    word(document["baseline"]), document["spread"]["deviation"].get<double>(),
                    document["spread"]["degrees_of_freedom"].get<int>());
}

}  // namespace

std::string study_text(const Json& document, StudyMarkup markup) {
  const bool plain = markup == StudyMarkup::kPlain;
  const std::string name = word(document["study"]);
  std::string text =
      fmt::format("{}{}{}", plain ? "study " : "# Study: ", name, plain ? ": " : "\n\n");
  text += header(document);
  for (const Json& group : document["groups"]) {
    const std::string title = word(group["name"]);
    if (!title.empty()) text += fmt::format("\n{}{}\n", plain ? "" : "## ", title);
    text += '\n';
    const Table table = group_table(group, document.contains("baseline"));
    text += plain ? table.str(2) : table.markdown();
  }
  if (const std::string missing = gaps(document); !missing.empty()) text += '\n' + missing;
  return text + '\n' + legend(document);
}

std::string study_csv(const Json& document) {
  const std::vector<std::string> keys{"mean",
                                      "deviation",
                                      "min",
                                      "max",
                                      "parameters",
                                      "multiply_adds",
                                      "images_per_second",
                                      "difference",
                                      "standard_error",
                                      "verdict"};
  std::vector<std::string> titles{"group",         "variant",    "baseline",
                                  "seeds_planned", "seeds_done", "seeds_failed"};
  titles.insert(titles.end(), keys.begin(), keys.end());
  std::string text = csv_line(titles);
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      std::vector<std::string> cells{
          group["name"].get<std::string>(),    row["name"].get<std::string>(),
          row["baseline"] == true ? "1" : "0", std::to_string(row["seeds_planned"].get<size_t>()),
          std::to_string(row["seeds"].size()), std::to_string(row["failed"].size())};
      for (const std::string& key : keys) {
        const Json value = row.contains(key) ? row[key] : Json();
        cells.push_back(value.is_null()           ? ""
                        : value.is_string()       ? value.get<std::string>()
                        : value.is_number_float() ? fmt::format("{:.6g}", value.get<double>())
                                                  : value.dump());
      }
      text += csv_line(cells);
    }
  }
  return text;
}

}  // namespace asmlp::study
