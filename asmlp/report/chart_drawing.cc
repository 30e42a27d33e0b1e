#include "asmlp/report/chart_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/report/html.h"

namespace asmlp {
namespace {

constexpr double kLeft = 58, kTop = 12, kBottom = 40;
constexpr double kRightEdge = kChartWidth - kChartRight, kLowerEdge = kChartHeight - kBottom;
constexpr double kPlotWidth = kRightEdge - kLeft, kPlotHeight = kLowerEdge - kTop;
// Columns into which the points of a line are gathered, and of what the pointer can point at.
constexpr size_t kColumns = 280, kHoverColumns = 140;
// A line of at most so many points has them marked, so that a curve of one epoch is to be seen.
constexpr size_t kMarked = 40;

// All points of a series in one column.
struct Bucket {
  double x_sum = 0, sum = 0;
  Range range;
  int64_t count = 0;
  bool gap = false;  // a value that is not finite
  double x() const { return x_sum / double(count); }
  double mean() const { return sum / double(count); }
};

// The two axes, and where they put a point.
struct Plot {
  Axis x, y;
  double left(double value) const { return kLeft + kPlotWidth * x.share(value); }
  double top(double value) const { return kLowerEdge - kPlotHeight * y.share(value); }
};

std::vector<Bucket> gather(const Series& series, const Axis& x, size_t columns) {
  std::vector<Bucket> buckets(columns);
  for (const auto& [at, value] : series.points) {
    const auto column = static_cast<size_t>(x.share(at) * double(columns - 1) + 0.5);
    Bucket& bucket = buckets[column];
    if (!std::isfinite(value)) {
      bucket.gap = true;
      continue;
    }
    bucket.x_sum += at;
    bucket.sum += value;
    bucket.range.add(value);
    ++bucket.count;
  }
  return buckets;
}

// The line through the buckets' means, broken at gaps, and the band around it.
std::string line_svg(const std::vector<Bucket>& buckets, const std::string& color,
                     const Plot& plot) {
  std::string line, upper, lower, bands, dots;
  bool pen_down = false, broad = false;
  std::vector<std::string> back;
  const auto end_band = [&] {
    if (broad) {
      for (auto point = back.rbegin(); point != back.rend(); ++point) lower += *point;
      bands += fmt::format("<path fill=\"{}\" opacity=\"0.18\" d=\"{}{}Z\"/>", color, upper, lower);
    }
    upper.clear(), lower.clear(), back.clear();
    pen_down = broad = false;
  };
  size_t drawn = 0;
  for (const Bucket& b : buckets) {
    if (b.count > 0) {
      const double at = plot.left(b.x());
      const char* move = pen_down ? "L" : "M";
      line += fmt::format("{}{:.1f} {:.1f}", move, at, plot.top(b.mean()));
      upper += fmt::format("{}{:.1f} {:.1f}", move, at, plot.top(b.range.high));
      back.push_back(fmt::format("L{:.1f} {:.1f}", at, plot.top(b.range.low)));
      if (++drawn <= kMarked) {
        dots += fmt::format("<circle fill=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>", color,
                            at, plot.top(b.mean()));
      }
      pen_down = true;
      broad |= b.count > 1;
    }
    if (b.gap) end_band();
  }
  end_band();
  return bands +
         fmt::format(
             "<path fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" "
             "stroke-linejoin=\"round\" stroke-linecap=\"round\" d=\"{}\"/>",
             color, line) +
         (drawn <= kMarked ? dots : "");
}

std::string axes_svg(const Chart& chart, const Plot& plot, const Paints& paints) {
  std::string svg;
  for (const double value : plot.y.ticks) {
    svg += fmt::format(
        "<path stroke=\"{}\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" text-anchor=\"end\">{}</text>",
        paints.grid, kLeft, plot.top(value), kRightEdge, kLeft - 7, plot.top(value) + 4,
        paints.muted, short_number(value));
  }
  for (const double value : plot.x.ticks) {
    svg += fmt::format(
        "<path stroke=\"{3}\" d=\"M{0:.1f} {1:.1f}v4\"/>"
        "<text x=\"{0:.1f}\" y=\"{2:.1f}\" fill=\"{3}\" text-anchor=\"middle\">{4}</text>",
        plot.left(value), kLowerEdge, kLowerEdge + 17, paints.muted, short_number(value));
  }
  svg += fmt::format("<path stroke=\"{}\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", paints.muted, kLeft,
                     kLowerEdge, kRightEdge);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" text-anchor=\"middle\">{}</text>",
                     kLeft + kPlotWidth / 2, kChartHeight - 6, paints.muted,
                     escape_html(chart.x_label));
  svg += fmt::format(
      "<text transform=\"translate(13 {:.1f}) rotate(-90)\" fill=\"{}\" "
      "text-anchor=\"middle\">{}</text>",
      kTop + kPlotHeight / 2, paints.muted,
      escape_html(chart.y_label + (plot.y.logarithmic ? " (log)" : "")));
  return svg;
}

// Transparent strips that carry the values as titles and show a hairline under the pointer.
std::string hover_svg(const Chart& chart, const Plot& plot) {
  std::vector<std::vector<Bucket>> all;
  for (const Series& series : chart.series) all.push_back(gather(series, plot.x, kHoverColumns));
  std::string svg;
  for (size_t column = 0; column < kHoverColumns; ++column) {
    std::string title;
    double at = NAN;
    for (size_t s = 0; s < all.size(); ++s) {
      const Bucket& b = all[s][column];
      if (b.count == 0) continue;
      at = b.x();
      title += fmt::format("\n{}: {}", chart.series[s].name, short_number(b.mean()));
      if (b.range.low < b.range.high) {
        title += fmt::format(" ({} to {})", short_number(b.range.low), short_number(b.range.high));
      }
    }
    if (title.empty()) continue;
    const double width = kPlotWidth / double(kHoverColumns - 1);
    svg += fmt::format(
        "<g class=\"hover\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>"
        "<path d=\"M{:.1f} {:.1f}v{:.1f}\"/><title>{}</title></g>",
        plot.left(at) - width / 2, kTop, width, kPlotHeight, plot.left(at), kTop, kPlotHeight,
        escape_html(fmt::format("{} {}{}", chart.x_label, short_number(at), title)));
  }
  return svg;
}

Plot plot_of(const Chart& chart, const Range& x, Range y) {
  const bool logarithmic = chart.may_be_logarithmic && y.low > 0 && y.high / y.low > 100;
  if (chart.from_zero) y.add(0);
  return {make_axis(x, 8, AxisKind::kTight),
          make_axis(y, 5, logarithmic ? AxisKind::kLogarithmic : AxisKind::kTight, chart.limits)};
}

}  // namespace

ChartDrawing draw_chart(const Chart& chart, const Paints& paints, Pointer pointer) {
  require(chart.series.size() <= paints.series.size(), ErrorCode::kInvalidArgument,
          "chart '{}': {} series, there are colors for {}", chart.title, chart.series.size(),
          paints.series.size());
  Range x, y;
  for (const Series& series : chart.series) {
    for (const auto& [at, value] : series.points) {
      if (!std::isfinite(value)) continue;
      x.add(at);
      y.add(value);
    }
  }
  if (x.empty()) return {};
  const Plot plot = plot_of(chart, x, y);
  ChartDrawing drawing{axes_svg(chart, plot, paints), {}};
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const Series& series = chart.series[s];
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                                   [](const auto& point) { return std::isfinite(point.second); });
    if (last == series.points.rend()) continue;
    drawing.legend.emplace_back(s, series.name + " " + short_number(last->second));
    drawing.body += line_svg(gather(series, plot.x, kColumns), paints.series[s], plot);
  }
  if (pointer == Pointer::kShowsValues) drawing.body += hover_svg(chart, plot);
  return drawing;
}

}  // namespace asmlp
