#include "asmlp/study/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "asmlp/report/axis.h"
#include "asmlp/report/canvas.h"
#include "asmlp/report/palette.h"

namespace asmlp::study {
namespace {

constexpr Color kMuted = kLight.muted, kGrid = kLight.grid, kPaper = kLight.paper;
constexpr Color kMean = kLight.series[0], kBaseline = kLight.series[1];

constexpr int kMargin = 24;
constexpr int kLabel = 300;  // names
constexpr int kScale = 560;  // the scale of top-1
constexpr int kTop = 84;
constexpr int kRow = 24;
constexpr int kTitle = 34;  // the name of a group
constexpr int kBottom = 52;

Color seed_color() { return mix(kMean, kPaper, 0.5); }

double number(const Json& row, const char* key) { return row[key].get<double>(); }
double deviation(const Json& row) {
  return row.contains("deviation") ? number(row, "deviation") : 0;
}

void draw_title(Canvas& canvas, const Json& document, const std::string& title, int width) {
  canvas.text(kMargin, 34, fmt::format("{}: {}", document["study"].get<std::string>(), title),
              {.size = 18, .bold = true, .max_width = width - 2.0 * kMargin});
  const Json& runs = document["runs"];
  canvas.text(
      kMargin, 56,
      fmt::format("{} of {} runs   \u00b7   {} epochs   \u00b7   {}   \u00b7   {}",
                  runs["finished"].get<int>(), runs["planned"].get<int>(),
                  document["epochs"].get<int>(), document["machine"]["cpu"].get<std::string>(),
                  document["date"].get<std::string>()),
      {.size = 12, .color = kMuted, .max_width = width - 2.0 * kMargin});
}

void draw_row(Canvas& canvas, const Json& row, const Axis& axis, double y) {
  const double left = kMargin + kLabel;
  const auto place = [&](double top1) { return left + kScale * axis.share(top1); };
  const bool baseline = row["baseline"] == true;
  canvas.text(left - 12, y + 17, row["name"].get<std::string>(),
              {.size = 13, .anchor = Anchor::kRight, .bold = baseline, .max_width = kLabel - 12});
  if (!row.contains("mean")) {
    canvas.text(left + 8, y + 17, "no finished run", {.size = 12, .color = kMuted});
    return;
  }
  const double mean = number(row, "mean"), spread = deviation(row);
  const Color color = baseline ? kBaseline : kMean;
  canvas.fill(place(mean - spread), y + kRow / 2.0 - 1,
              std::max(1.0, place(mean + spread) - place(mean - spread)), 2, color);
  for (const Json& top1 : row["top1"]) {
    canvas.fill(place(top1.get<double>()) - 2.5, y + kRow / 2.0 - 2.5, 5, 5, seed_color());
  }
  canvas.fill(place(mean) - 1.5, y + 4, 3, kRow - 8, color);
  canvas.text(left + kScale + 16, y + 17,
              row["top1"].size() > 1 ? fmt::format("{:.2f} \u00b1 {:.2f}", mean, spread)
                                     : fmt::format("{:.2f}", mean),
              {.size = 13});
}

// The axis of top-1 along the bottom.
void draw_scale(Canvas& canvas, const Axis& axis, int height) {
  for (const double value : axis.ticks) {
    const double x = kMargin + kLabel + kScale * axis.share(value);
    canvas.fill(x, kTop - 6, 1, height - kTop - kBottom + 12, kGrid);
    canvas.text(x, height - kBottom + 22, short_number(value),
                {.size = 12, .color = kMuted, .anchor = Anchor::kCenter});
  }
  canvas.text(kMargin + kLabel + kScale / 2.0, height - kBottom + 40,
              "top-1 in % (last epoch); light: one seed, dark: mean and standard deviation",
              {.size = 12, .color = kMuted, .anchor = Anchor::kCenter});
}

}  // namespace

std::optional<Axis> top1_axis(const Json& document) {
  Range range;
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      if (!row.contains("mean")) continue;
      range.add(std::min(number(row, "min"), number(row, "mean") - deviation(row)));
      range.add(std::max(number(row, "max"), number(row, "mean") + deviation(row)));
    }
  }
  if (range.empty()) return std::nullopt;
  return make_axis(range, 6, AxisKind::kRound, kPercentages);
}

void write_study_top1(const std::filesystem::path& path, const Json& document) {
  const std::optional<Axis> axis = top1_axis(document);
  if (!axis) return;
  double baseline = NAN;
  int height = kTop + kBottom;
  for (const Json& group : document["groups"]) {
    height += kTitle;
    for (const Json& row : group["rows"]) {
      height += kRow;
      if (row.contains("mean") && row["baseline"] == true) baseline = number(row, "mean");
    }
  }
  const int width = 2 * kMargin + kLabel + kScale + 120;
  Canvas canvas(width, height, kPaper);
  draw_title(canvas, document, "top-1", width);
  draw_scale(canvas, *axis, height);
  if (std::isfinite(baseline)) {
    canvas.fill(kMargin + kLabel + kScale * axis->share(baseline) - 0.5, kTop - 6, 1,
                height - kTop - kBottom + 12, mix(kBaseline, kPaper, 0.4));
  }
  double y = kTop;
  for (const Json& group : document["groups"]) {
    canvas.text(kMargin, y + 22, group["name"].get<std::string>(),
                {.size = 14, .bold = true, .max_width = kLabel - 12});
    y += kTitle;
    for (const Json& row : group["rows"]) {
      draw_row(canvas, row, *axis, y);
      y += kRow;
    }
  }
  canvas.save(path);
}

}  // namespace asmlp::study
