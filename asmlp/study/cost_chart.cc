#include "asmlp/study/cost_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/printable.h"
#include "asmlp/report/axis.h"
#include "asmlp/report/html.h"
#include "asmlp/report/palette.h"
#include "asmlp/report/table.h"

namespace asmlp::study {
namespace {

constexpr double kPanelWidth = 520, kPanelHeight = 340;
constexpr double kLeft = 56, kRight = 24, kTop = 16, kBottom = 46;  // around a panel's frame
constexpr double kHead = 64, kMargin = 20;                          // of the whole picture
constexpr double kLine = 20, kListColumn = kPanelWidth;             // of the list
constexpr double kSize = 4.5;                                       // of a mark
constexpr int kNameLetters = 46;

enum class Cost { kParameters, kMultiplyAdds, kTraining, kEngine };
constexpr std::array kCosts{Cost::kParameters, Cost::kMultiplyAdds, Cost::kTraining, Cost::kEngine};

struct CostPoint {
  std::string name;
  size_t family = 0;
  double top1 = 0, error = 0;  // error 0: not known
  bool baseline = false;
  std::array<double, kCosts.size()> cost{};  // by Cost; 0: not known
};

struct CostPoints {
  std::vector<std::string> families;  // in the order of the study
  std::vector<CostPoint> all;         // best first
};

double number_or_0(const Json& row, const char* key) {
  return row.contains(key) && row[key].is_number() ? row[key].get<double>() : 0;
}

// Every configuration once, though the baseline may stand in several groups.
CostPoints collect_points(const Json& document) {
  CostPoints points;
  std::vector<Json> seen;
  for (const Json& group : document["groups"]) {
    for (const Json& row : group["rows"]) {
      if (!row.contains("mean") || std::ranges::count(seen, row["options"]) > 0) continue;
      seen.push_back(row["options"]);
      const std::string family = row.value("family", "");
      auto place = std::ranges::find(points.families, family);
      if (place == points.families.end()) place = points.families.insert(place, family);
      const double rate = number_or_0(row, "images_per_second");
      points.all.push_back(
          {row["name"].get<std::string>(),
           static_cast<size_t>(place - points.families.begin()),
           row["mean"].get<double>(),
           number_or_0(row, "mean_error"),
           row["baseline"] == true,
           {number_or_0(row, "parameters"), number_or_0(row, "multiply_adds"),
            rate > 0 ? 1000 / rate : 0, number_or_0(row.value("engine", Json::object()), "ms")}});
    }
  }
  std::ranges::stable_sort(points.all,
                           [](const auto& a, const auto& b) { return a.top1 > b.top1; });
  return points;
}

double cost_of(const CostPoint& point, Cost cost) { return point.cost[static_cast<size_t>(cost)]; }

Range range_of(const CostPoints& points, Cost cost) {
  Range range;
  for (const CostPoint& point : points.all) {
    if (cost_of(point, cost) > 0) range.add(cost_of(point, cost));
  }
  return range;
}

// What there is to see: costs that differ, or else the first that is known.
std::vector<Cost> costs_to_show(const CostPoints& points) {
  std::vector<Cost> known, shown;
  for (const Cost cost : kCosts) {
    const Range range = range_of(points, cost);
    if (range.empty()) continue;
    known.push_back(cost);
    if (range.high > 1.001 * range.low) shown.push_back(cost);
  }
  if (shown.empty() && !known.empty()) shown.push_back(known.front());
  return shown;
}

struct Unit {
  double scale;
  std::string label;
};
Unit unit_of(Cost cost, double largest) {
  switch (cost) {
    case Cost::kParameters:
      return largest >= 1e6 ? Unit{1e-6, "millions of parameters"}
                            : Unit{1e-3, "thousands of parameters"};
    case Cost::kMultiplyAdds:
      return {1e-6, "millions of multiply-adds of one image"};
    case Cost::kTraining:
      return {1, "training on LibTorch: milliseconds per image"};
    case Cost::kEngine:
      return {1, "native engine: milliseconds of one image"};
  }
  return {1, ""};
}

// Families get a color each, and when those are used up another shape.
std::string mark_svg(double x, double y, size_t family, const Paints& paints) {
  const std::string& color = paints.series[family % paints.series.size()];
  const size_t shape = family / paints.series.size();
  if (shape == 0) {
    return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>", x, y, kSize,
                       color);
  }
  if (shape == 1) {
    return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
                       x - kSize, y - kSize, 2 * kSize, 2 * kSize, color);
  }
  return fmt::format("<path d=\"M{:.1f} {:.1f}l{} {}h{}z\" fill=\"{}\"/>", x, y - kSize, kSize,
                     2 * kSize, -2 * kSize, color);
}

std::string text_svg(double x, double y, const std::string& text, const std::string& color,
                     const std::string& more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" {}>{}</text>", x, y, color, more,
                     escape_html(text));
}

constexpr const char* kMiddle = "text-anchor=\"middle\"";

class Panel {
 public:
  Panel(const CostPoints& points, Cost cost, const Paints& paints)
      : points_(points), cost_(cost), paints_(paints) {
    const Range costs = range_of(points, cost);
    unit_ = unit_of(cost, costs.high);
    Range x, y;
    x.add(costs.low * unit_.scale);
    x.add(costs.high * unit_.scale);
    for (const CostPoint& point : points.all) {
      y.add(point.top1 - point.error);
      y.add(point.top1 + point.error);
    }
    x_ = make_axis(x, 6, AxisKind::kRound);
    y_ = make_axis(y, 6, AxisKind::kRound, kPercentages);
  }

  std::string svg() const { return axes() + lines() + marks(); }

 private:
  double left(const CostPoint& point) const { return left_of(cost_of(point, cost_) * unit_.scale); }
  double left_of(double value) const {
    return kLeft + (kPanelWidth - kLeft - kRight) * x_.share(value);
  }
  double top_of(double value) const {
    return kPanelHeight - kBottom - (kPanelHeight - kTop - kBottom) * y_.share(value);
  }

  std::string axes() const {
    std::string svg;
    const double bottom = kPanelHeight - kBottom, right = kPanelWidth - kRight;
    for (const double value : x_.ticks) {
      svg += fmt::format("<path stroke=\"{}\" d=\"M{:.1f} {}V{}\"/>", paints_.grid, left_of(value),
                         kTop, bottom);
      svg += text_svg(left_of(value), bottom + 17, short_number(value), paints_.muted, kMiddle);
    }
    for (const double value : y_.ticks) {
      svg += fmt::format("<path stroke=\"{}\" d=\"M{} {:.1f}H{}\"/>", paints_.grid, kLeft,
                         top_of(value), right);
      svg += text_svg(kLeft - 7, top_of(value) + 4, short_number(value), paints_.muted,
                      "text-anchor=\"end\"");
    }
    svg += text_svg((kLeft + right) / 2, kPanelHeight - 8, unit_.label, paints_.muted, kMiddle);
    svg += fmt::format(
        "<text transform=\"translate(14 {:.1f}) rotate(-90)\" fill=\"{}\" {}>top-1 in %</text>",
        (kTop + bottom) / 2, paints_.muted, kMiddle);
    return svg;
  }

  // Through a family's models by size. Variants of one size are alternatives, which no line joins.
  std::string lines() const {
    std::string svg;
    for (size_t family = 0; family < points_.families.size(); ++family) {
      std::vector<const CostPoint*> line;
      for (const CostPoint& point : points_.all) {
        if (point.family == family && cost_of(point, cost_) > 0) line.push_back(&point);
      }
      const auto size = [](const CostPoint* point) { return cost_of(*point, Cost::kParameters); };
      std::ranges::sort(line, {}, size);
      const auto alike = [&](const CostPoint* a, const CostPoint* b) {
        return size(b) <= 1.01 * size(a);
      };
      if (line.size() < 2 || std::ranges::adjacent_find(line, alike) != line.end()) continue;
      std::string path;
      for (const CostPoint* point : line) {
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", left(*point),
                            top_of(point->top1));
      }
      svg += fmt::format("<path fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" d=\"{}\"/>",
                         paints_.series[family % paints_.series.size()], path);
    }
    return svg;
  }

  std::string marks() const {
    std::string svg;
    std::vector<std::pair<double, double>> taken;  // by numbers: those of close marks move aside
    int index = 0;
    for (const CostPoint& point : points_.all) {
      ++index;
      if (cost_of(point, cost_) <= 0) continue;
      const double x = left(point), y = top_of(point.top1);
      if (point.error > 0) {
        const double high = top_of(point.top1 + point.error),
                     low = top_of(point.top1 - point.error);
        svg += fmt::format(
            "<path stroke=\"{0}\" d=\"M{1:.1f} {2:.1f}V{3:.1f}M{4:.1f} {2:.1f}h6M{4:.1f} "
            "{3:.1f}h6\"/>",
            paints_.series[point.family % paints_.series.size()], x, high, low, x - 3);
      }
      svg += mark_svg(x, y, point.family, paints_);
      double label = x + 6;
      const auto covered = [&](const auto& other) {
        return std::abs(other.first - label) < 15 && std::abs(other.second - y) < 11;
      };
      while (std::ranges::any_of(taken, covered)) label += 15;
      taken.emplace_back(label, y);
      svg += text_svg(label, y - 5, std::to_string(index), paints_.ink);
    }
    return svg;
  }

  const CostPoints& points_;
  Cost cost_;
  const Paints& paints_;
  Unit unit_{1, ""};
  Axis x_, y_;
};

// "1 AS-MLP small   84.21 +- 0.32 %", in two columns.
std::string list_svg(const CostPoints& points, double top, const Paints& paints) {
  std::string svg;
  const size_t rows = (points.all.size() + 1) / 2;
  for (size_t k = 0; k < points.all.size(); ++k) {
    const CostPoint& point = points.all[k];
    const double x = kMargin + kListColumn * double(k / rows), y = top + kLine * double(k % rows);
    svg += mark_svg(x + 8, y - 4, point.family, paints);
    svg += text_svg(x + 38, y, std::to_string(k + 1), paints.ink, "text-anchor=\"end\"");
    const std::string figure = point.error > 0
                                   ? fmt::format("{:.2f} \u00b1 {:.2f}", point.top1, point.error)
                                   : fmt::format("{:.2f}", point.top1);
    svg += text_svg(x + 138, y, figure + " %", paints.ink, "text-anchor=\"end\"");
    const std::string& family = points.families[point.family];
    const std::string name = family.empty() || point.name.find(family) != std::string::npos
                                 ? point.name
                                 : fmt::format("{} ({})", point.name, family);
    svg += text_svg(x + 150, y, truncated(name, kNameLetters), paints.ink,
                    point.baseline ? "font-weight=\"600\"" : "");
  }
  return svg;
}

}  // namespace

std::string study_cost_svg(const Json& document) {
  const CostPoints points = collect_points(document);
  const std::vector<Cost> costs = costs_to_show(points);
  if (costs.empty()) return "";
  const Paints paints = literal_paints(kLight);
  std::string body;
  for (size_t k = 0; k < costs.size(); ++k) {
    body += fmt::format("<g transform=\"translate({:.0f} {:.0f})\">{}</g>\n",
                        kMargin + kPanelWidth * double(k % 2), kHead + kPanelHeight * double(k / 2),
                        Panel(points, costs[k], paints).svg());
  }
  const double list = kHead + kPanelHeight * double((costs.size() + 1) / 2) + 16;
  body += list_svg(points, list, paints);
  const double width = 2 * kMargin + 2 * kPanelWidth;
  const double height = list + kLine * double((points.all.size() + 1) / 2) + kMargin;
  const Json& runs = document["runs"];
  const std::string title = printable(document["study"].get<std::string>()) + ": cost and top-1";
  const std::string facts = fmt::format(
      "{} of {} runs \u00b7 {} epoch{} \u00b7 {} \u00b7 bars: one standard error of the mean",
      runs["finished"].get<int>(), runs["planned"].get<int>(), document["epochs"].get<int>(),
      document["epochs"] == 1 ? "" : "s", printable(document["machine"]["cpu"].get<std::string>()));
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"{2}\"/>\n{3}{4}\n{5}</svg>\n",
      width, height, paints.paper,
      text_svg(kMargin, 28, title, paints.ink, "font-size=\"16\" font-weight=\"600\""),
      text_svg(kMargin, 48, facts, paints.muted), body);
}

void write_study_cost(const std::filesystem::path& path, const Json& document) {
  const std::string svg = study_cost_svg(document);
  if (svg.empty()) return;
  write_file_atomically(path, [&](std::ostream& out) { out << svg; });
}

}  // namespace asmlp::study
