#include "asmlp/cli/bench/bench_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "asmlp/cli/bench/bench_report.h"
#include "asmlp/report/canvas.h"

namespace asmlp::cli {
namespace {

constexpr Color kInk{30, 30, 30};
constexpr Color kGray{120, 120, 120};
constexpr Color kGrid{225, 225, 225};
constexpr Color kTrack{240, 241, 244};

constexpr int kMargin = 24;
constexpr int kLabel = 330;   // names
constexpr int kBars = 620;    // the scale of GFLOP/s
constexpr int kColumn = 105;  // one column of figures
constexpr int kTop = 104;
constexpr int kRow = 30;
constexpr int kBottom = 58;

struct Kind {
  const char* name;
  Color color;
};

// What a bar's color says.
Kind kind_of(const Json& row) {
  if (row["backend"] == "torch") return {"LibTorch", from_oklch(0.62, 0.16, 35)};
  if (row["precision"] == "bf16") return {"native bf16", from_oklch(0.62, 0.13, 160)};
  return {"native fp32", from_oklch(0.55, 0.15, 260)};
}

// A step of 1, 2 or 5 times a power of ten that gives four to ten grid lines.
double grid_step(double top) {
  const double power = std::pow(10, std::floor(std::log10(top / 4)));
  const double rest = top / 4 / power;
  return power * (rest >= 5 ? 5 : rest >= 2 ? 2 : 1);
}

std::string label_of(const Json& row) {
  return fmt::format("{}  {} px  batch {}  {}  {}",
                     short_model_name(row["model"].get<std::string>()), row["img_size"].get<int>(),
                     row["batch"].get<int>(), row["precision"].get<std::string>(),
                     row["isa"].get<std::string>());
}

void draw_scale(Canvas& canvas, double top, int height) {
  const double step = grid_step(top);
  for (int k = 0; k * step <= top; ++k) {
    const double x = kMargin + kLabel + kBars * k * step / top;
    canvas.fill(x, kTop - 6, 1, height - kTop - kBottom + 12, kGrid);
    canvas.text(x, height - kBottom + 24, fmt::format("{:g}", k * step),
                {.size = 12, .color = kGray, .anchor = Anchor::kCenter});
  }
  canvas.text(kMargin + kLabel + kBars / 2.0, height - kBottom + 44,
              "GFLOP/s (2 x multiply-adds); the mark is the peak measured between the runs",
              {.size = 12, .color = kGray, .anchor = Anchor::kCenter});
}

void draw_row(Canvas& canvas, const Json& row, double y, double top) {
  const double left = kMargin + kLabel;
  const double gflops = row["gflops"].get<double>();
  const double peak = row["peak"]["gflops"].get<double>();
  canvas.text(left - 12, y + 19, label_of(row),
              {.size = 13, .anchor = Anchor::kRight, .max_width = kLabel - 12});
  canvas.fill(left, y + 4, kBars * peak / top, kRow - 8, kTrack);
  canvas.fill(left, y + 4, kBars * gflops / top, kRow - 8, kind_of(row).color);
  canvas.fill(left + kBars * peak / top - 1, y + 1, 2, kRow - 2, kInk);
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
    shown.emplace_back(kind.name);
    canvas.fill(x, kTop - 30, 14, 14, kind.color);
    canvas.text(x + 20, kTop - 18, kind.name, {.size = 13});
    x += 36 + canvas.text_width(kind.name, {.size = 13});
  }
}

}  // namespace

void write_bench_plot(const std::filesystem::path& path, const Json& document) {
  const Json& rows = document["rows"];
  double top = 1e-3;
  for (const Json& row : rows) {
    top = std::max({top, row["peak"]["gflops"].get<double>(), row["gflops"].get<double>()});
  }
  top *= 1.03;
  const int width = 2 * kMargin + kLabel + kBars + 3 * kColumn;
  const int height = kTop + kRow * static_cast<int>(rows.size()) + kBottom;
  Canvas canvas(width, height, {255, 255, 255});
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
              {.size = 13, .color = kGray, .max_width = width - 2.0 * kMargin});
  draw_legend(canvas, rows);
  double x = kMargin + kLabel + kBars;
  for (const char* title : {"of peak", "images/s", "ms/image"}) {
    canvas.text(x += kColumn, kTop - 18, title,
                {.size = 13, .color = kGray, .anchor = Anchor::kRight});
  }
  draw_scale(canvas, top, height);
  double y = kTop;
  for (const Json& row : rows) {
    draw_row(canvas, row, y, top);
    y += kRow;
  }
  canvas.save(path);
}

}  // namespace asmlp::cli
