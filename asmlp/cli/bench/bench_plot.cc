#include "asmlp/cli/bench/bench_plot.h"

#include <fmt/format.h>

#include <algorithm>

#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/report/axis.h"
#include "asmlp/report/canvas.h"
#include "asmlp/report/palette.h"

namespace asmlp::cli {
namespace {

constexpr Color kMuted = kLight.muted, kGrid = kLight.grid;

constexpr int kMargin = 24;
constexpr int kLabel = 330;   // names
constexpr int kBars = 620;    // the scale of GFLOP/s
constexpr int kColumn = 105;  // one column of numbers
constexpr int kTop = 104;
constexpr int kRow = 30;
constexpr int kBottom = 58;

struct Kind {
  std::string name;
  Color color;
};

// What a bar's color says: LibTorch, or a precision of ours.
Kind kind_of(const Json& row) {
  if (row["backend"] == "torch") return {"LibTorch", kLight.series[1]};
  constexpr Color kOurs[] = {kLight.series[0], kLight.series[2], kLight.series[3]};
  const std::string precision = row["precision"].get<std::string>();
  const std::vector<std::string> names = precision_names();
  const auto k = static_cast<size_t>(std::ranges::find(names, precision) - names.begin());
  return {"native " + precision, k < std::size(kOurs) ? kOurs[k] : kMuted};
}

std::string label_of(const Json& row) {
  return fmt::format("{}  {} px  batch {}  {}  {}",
                     short_model_name(row["model"].get<std::string>()), row["img_size"].get<int>(),
                     row["batch"].get<int>(), row["precision"].get<std::string>(),
                     row["isa"].get<std::string>());
}

void draw_scale(Canvas& canvas, const Axis& axis, int height) {
  for (const double value : axis.ticks) {
    const double x = kMargin + kLabel + kBars * axis.share(value);
    canvas.fill(x, kTop - 6, 1, height - kTop - kBottom + 12, kGrid);
    canvas.text(x, height - kBottom + 24, short_number(value),
                {.size = 12, .color = kMuted, .anchor = Anchor::kCenter});
  }
  canvas.text(kMargin + kLabel + kBars / 2.0, height - kBottom + 44,
              "GFLOP/s (2 x multiply-adds); the mark is the peak measured between the runs",
              {.size = 12, .color = kMuted, .anchor = Anchor::kCenter});
}

void draw_row(Canvas& canvas, const Json& row, const Axis& axis, double y) {
  const double left = kMargin + kLabel;
  const double gflops = row["gflops"].get<double>();
  const double peak = row["peak"]["gflops"].get<double>();
  canvas.text(left - 12, y + 19, label_of(row),
              {.size = 13, .anchor = Anchor::kRight, .max_width = kLabel - 12});
  canvas.fill(left, y + 4, kBars * axis.share(peak), kRow - 8, kGrid);
  canvas.fill(left, y + 4, kBars * axis.share(gflops), kRow - 8, kind_of(row).color);
  canvas.fill(left + kBars * axis.share(peak) - 1, y + 1, 2, kRow - 2, kLight.ink);
  double x = left + kBars;
  for (const std::string& cell : {fmt::format("{:.1f} %", row["peak"]["ratio"].get<double>() * 100),
                                  fmt::format("{:.1f}", row["images_per_second"].get<double>()),
                                  fmt::format("{:.2f}", row["ms_per_image"].get<double>())}) {
    x += kColumn;
    canvas.text(x, y + 19, cell,
                {.size = 13, .anchor = Anchor::kRight, .bold = x < left + kBars + kColumn + 1});
  }
}

void draw_legend(Canvas& canvas, const Json& rows) {
  std::vector<std::string> shown;
  double x = kMargin + kLabel;
  for (const Json& row : rows) {
    const Kind kind = kind_of(row);
    if (std::ranges::count(shown, kind.name) > 0) continue;
    shown.push_back(kind.name);
    canvas.fill(x, kTop - 30, 14, 14, kind.color);
    canvas.text(x + 20, kTop - 18, kind.name, {.size = 13});
    x += 36 + canvas.text_width(kind.name, {.size = 13});
  }
}

}  // namespace

void write_bench_plot(const std::filesystem::path& path, const Json& document) {
  Json rows = Json::array();
  for (const Json& row : document["rows"]) {
    if (!is_latency_row(row)) rows.push_back(row);
  }
  require(!rows.empty(), ErrorCode::kInvalidArgument,
          "--plot {}: only rows of --latency, of which there is no picture", path.string());
  double top = 1e-3;
  for (const Json& row : rows) {
    top = std::max({top, row["peak"]["gflops"].get<double>(), row["gflops"].get<double>()});
  }
  const Axis axis = make_axis({0, 1.03 * top}, 6, AxisKind::kTight);
  const int width = 2 * kMargin + kLabel + kBars + 3 * kColumn;
  const int height = kTop + kRow * static_cast<int>(rows.size()) + kBottom;
  Canvas canvas(width, height, kLight.paper);
  const Json& machine = document["machine"];
  const Json& build = document["build"];
  canvas.text(kMargin, 34, "asmlp bench: arithmetic done, and what the machine can do",
              {.size = 20, .bold = true, .max_width = width - 2.0 * kMargin});
  canvas.text(kMargin, 56,
              fmt::format("{}, {} cores usable   \u00b7   asmlp {} ({}), {}, {}   \u00b7   {}",
                          machine["cpu"].get<std::string>(), machine["cores"].get<int>(),
                          build["version"].get<std::string>(), build["commit"].get<std::string>(),
                          build["compiler"].get<std::string>(), build["type"].get<std::string>(),
                          document["date"].get<std::string>()),
              {.size = 13, .color = kMuted, .max_width = width - 2.0 * kMargin});
  draw_legend(canvas, rows);
  double x = kMargin + kLabel + kBars;
  for (const char* title : {"of peak", "images/s", "ms/image"}) {
    canvas.text(x += kColumn, kTop - 18, title,
                {.size = 13, .color = kMuted, .anchor = Anchor::kRight});
  }
  draw_scale(canvas, axis, height);
  double y = kTop;
  for (const Json& row : rows) {
    draw_row(canvas, row, axis, y);
    y += kRow;
  }
  canvas.save(path);
}

}  // namespace asmlp::cli
