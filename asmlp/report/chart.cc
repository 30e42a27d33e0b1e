#include "asmlp/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace asmlp {
namespace {

// The drawing in its own units; the page scales it.
constexpr double kWidth = 640, kHeight = 300;
constexpr double kLeft = 58, kRight = 14, kTop = 12, kBottom = 40;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
// Columns into which the points of a line are gathered, and of what the pointer can point at.
constexpr size_t kColumns = 280, kHoverColumns = 140;

struct Bounds {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  // One value alone gets a range around it.
  void widen() {
    if (low < high) return;
    const double margin = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= margin;
    high += margin;
  }
};

// All points of a series in one column.
struct Bucket {
  double x_sum = 0, sum = 0;
  Bounds range;
  int64_t count = 0;
  bool gap = false;  // a value that is not finite
  double x() const { return x_sum / double(count); }
  double mean() const { return sum / double(count); }
};

class Scale {
 public:
  Scale(Bounds bounds, double from, double to, bool logarithmic)
      : low_(logarithmic ? std::log10(bounds.low) : bounds.low),
        high_(logarithmic ? std::log10(bounds.high) : bounds.high),
        from_(from),
        to_(to),
        logarithmic_(logarithmic) {}
  double operator()(double value) const {
    const double v = logarithmic_ ? std::log10(value) : value;
    return from_ + (v - low_) / (high_ - low_) * (to_ - from_);
  }

 private:
  double low_, high_, from_, to_;
  bool logarithmic_;
};

std::string number(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size >= 1e6 || size < 1e-2) {
    std::string text = fmt::format("{:.2e}", value);  // 1.50e-04 -> 1.5e-4
    const size_t e = text.find('e');
    std::string mantissa = text.substr(0, e);
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
    return fmt::format("{}e{}", mantissa, std::stoi(text.substr(e + 1)));
  }
  return fmt::format("{:.5g}", value);
}

std::vector<Bucket> gather(const Series& series, const Bounds& x, size_t columns) {
  std::vector<Bucket> buckets(columns);
  for (const auto& [at, value] : series.points) {
    const double share = (at - x.low) / (x.high - x.low);
    const auto column =
        static_cast<size_t>(std::clamp(share, 0.0, 1.0) * double(columns - 1) + 0.5);
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
std::string line_svg(const std::vector<Bucket>& buckets, size_t color, const Scale& x,
                     const Scale& y) {
  std::string line, upper, lower, bands, dots;
  bool pen_down = false, broad = false;
  std::vector<std::string> back;
  const auto end_band = [&] {
    if (broad) {
      for (auto point = back.rbegin(); point != back.rend(); ++point) lower += *point;
      bands += fmt::format("<path class=\"band s{}\" d=\"{}{}Z\"/>", color, upper, lower);
    }
    upper.clear(), lower.clear(), back.clear();
    pen_down = broad = false;
  };
  size_t drawn = 0;
  for (const Bucket& b : buckets) {
    if (b.count > 0) {
      const double at = x(b.x());
      const char* move = pen_down ? "L" : "M";
      line += fmt::format("{}{:.1f} {:.1f}", move, at, y(b.mean()));
      upper += fmt::format("{}{:.1f} {:.1f}", move, at, y(b.range.high));
      back.push_back(fmt::format("L{:.1f} {:.1f}", at, y(b.range.low)));
      if (++drawn <= 40) {
        dots += fmt::format("<circle class=\"dot s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>",
                            color, at, y(b.mean()));
      }
      pen_down = true;
      broad |= b.count > 1;
    }
    if (b.gap) end_band();
  }
  end_band();
  // Few points are marked, so that a curve of one epoch is to be seen.
  return bands + fmt::format("<path class=\"line s{}\" d=\"{}\"/>", color, line) +
         (drawn <= 40 ? dots : "");
}

std::string axes_svg(const Chart& chart, const Bounds& x_range, const Bounds& y_range,
                     bool logarithmic, const Scale& x, const Scale& y) {
  std::string svg;
  std::vector<double> y_ticks;
  if (logarithmic) {
    for (double power = std::ceil(std::log10(y_range.low)); power <= std::log10(y_range.high);
         ++power) {
      y_ticks.push_back(std::pow(10, power));
    }
  } else {
    y_ticks = ticks(y_range.low, y_range.high, 5);
  }
  for (const double value : y_ticks) {
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        kLeft, y(value), kWidth - kRight, kLeft - 7, y(value) + 4, number(value));
  }
  for (const double value : ticks(x_range.low, x_range.high, 8)) {
    svg += fmt::format(
        "<path class=\"tick\" d=\"M{0:.1f} {1:.1f}v4\"/>"
        "<text x=\"{0:.1f}\" y=\"{2:.1f}\" text-anchor=\"middle\">{3}</text>",
        x(value), kHeight - kBottom, kHeight - kBottom + 17, number(value));
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", kLeft, kHeight - kBottom,
                     kWidth - kRight);
  svg += fmt::format(
      "<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
      kLeft + kPlotWidth / 2, kHeight - 6, escape_html(chart.x_label));
  svg += fmt::format(
      "<text class=\"label\" transform=\"translate(13 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text>",
      kTop + kPlotHeight / 2, escape_html(chart.y_label + (logarithmic ? " (log)" : "")));
  return svg;
}

// Transparent strips that carry the values as titles and show a hairline under the pointer.
std::string hover_svg(const Chart& chart, const Bounds& x_range, const Scale& x) {
  std::vector<std::vector<Bucket>> all;
  for (const Series& series : chart.series) all.push_back(gather(series, x_range, kHoverColumns));
  std::string svg;
  for (size_t column = 0; column < kHoverColumns; ++column) {
    std::string title;
    double at = NAN;
    for (size_t s = 0; s < all.size(); ++s) {
      const Bucket& b = all[s][column];
      if (b.count == 0) continue;
      at = b.x();
      title += fmt::format("\n{}: {}", chart.series[s].name, number(b.mean()));
      if (b.range.low < b.range.high) {
        title += fmt::format(" ({} to {})", number(b.range.low), number(b.range.high));
      }
    }
    if (title.empty()) continue;
    const double width = kPlotWidth / double(kHoverColumns - 1);
    svg += fmt::format(
        "<g class=\"hover\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>"
        "<path d=\"M{:.1f} {:.1f}v{:.1f}\"/><title>{}</title></g>",
        x(at) - width / 2, kTop, width, kPlotHeight, x(at), kTop, kPlotHeight,
        escape_html(fmt::format("{} {}{}", chart.x_label, number(at), title)));
  }
  return svg;
}

// What is inside of a chart's frame, and its legend: number of the color, escaped text.
struct Drawing {
  std::string body;  // "" without a finite point
  std::vector<std::pair<size_t, std::string>> legend;
};

Drawing draw(const Chart& chart, bool hover) {
  Bounds x_range, y_range;
  for (const Series& series : chart.series) {
    for (const auto& [at, value] : series.points) {
      if (!std::isfinite(value)) continue;
      x_range.add(at);
      y_range.add(value);
    }
  }
  if (x_range.empty()) return {};
  x_range.widen();
  const bool logarithmic =
      chart.may_be_logarithmic && y_range.low > 0 && y_range.high / y_range.low > 100;
  if (chart.from_zero) y_range.add(0);
  y_range.widen();
  const Scale x(x_range, kLeft, kWidth - kRight, false);
  const Scale y(y_range, kHeight - kBottom, kTop, logarithmic);

  Drawing drawing;
  drawing.body = axes_svg(chart, x_range, y_range, logarithmic, x, y);
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const Series& series = chart.series[s];
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                                   [](const auto& point) { return std::isfinite(point.second); });
    if (last == series.points.rend()) continue;
    drawing.legend.emplace_back(s + 1, escape_html(series.name) + " " + number(last->second));
    drawing.body += line_svg(gather(series, x_range, kColumns), s + 1, x, y);
  }
  if (hover) drawing.body += hover_svg(chart, x_range, x);
  return drawing;
}

}  // namespace

// Of a picture that follows no reader's choice.
constexpr const char* kLightColors =
    "--ink: #1c2430; --muted: #66707f; --grid: #e6e9ee; "
    "--series-1: #2563c9; --series-2: #d9662b; --series-3: #2a8f5c; --series-4: #8a4fc2;";

const char* const kChartStyle = R"(figure { margin: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1em; align-items: baseline; }
figcaption b { margin-right: auto; }
figcaption span { font-size: .85em; color: var(--muted); }
figcaption i { display: inline-block; width: .9em; height: .25em; border-radius: 2px;
  margin-right: .4em; vertical-align: middle; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--muted); }
svg .grid { stroke: var(--grid); } svg .axis, svg .tick { stroke: var(--muted); }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
svg .band { opacity: .18; stroke: none; }
.line.s1 { stroke: var(--series-1); } .s1:not(.line) { fill: var(--series-1); }
.line.s2 { stroke: var(--series-2); } .s2:not(.line) { fill: var(--series-2); }
.line.s3 { stroke: var(--series-3); } .s3:not(.line) { fill: var(--series-3); }
.line.s4 { stroke: var(--series-4); } .s4:not(.line) { fill: var(--series-4); }
i.s1 { background: var(--series-1); } i.s2 { background: var(--series-2); }
i.s3 { background: var(--series-3); } i.s4 { background: var(--series-4); }
.hover rect { fill: transparent; } .hover path { stroke: var(--muted); visibility: hidden; }
.hover:hover path { visibility: visible; }
)";

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default: {
        const auto code = static_cast<unsigned char>(c);
        const bool control = (code < 0x20 && c != '\n' && c != '\t') || code == 0x7f;
        out += control ? '?' : c;
      }
    }
  }
  return out;
}

std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double digit = rough / power;
  const double step = power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
  std::vector<double> positions;
  // By whole multiples: sums of `step` would drift. A hair beyond the ends still counts.
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last; ++k) positions.push_back(k * step);
  return positions;
}

std::string chart_html(const Chart& chart) {
  const Drawing drawing = draw(chart, /*hover=*/true);
  if (drawing.body.empty()) return "";
  std::string legend;
  for (const auto& [color, text] : drawing.legend) {
    legend += fmt::format("<span><i class=\"s{}\"></i>{}</span>", color, text);
  }
  return fmt::format(
      "<figure><figcaption><b>{0}</b>{1}</figcaption>"
      "<svg viewBox=\"0 0 {2:.0f} {3:.0f}\" role=\"img\" "
      "aria-label=\"{0}\">{4}</svg></figure>\n",
      escape_html(chart.title), legend, kWidth, kHeight, drawing.body);
}

std::string charts_svg(const std::vector<Chart>& charts) {
  constexpr double kHeading = 34, kGap = 24;
  std::string body;
  int drawn = 0;
  for (const Chart& chart : charts) {
    const Drawing drawing = draw(chart, /*hover=*/false);
    if (drawing.body.empty()) continue;
    const double left = (drawn % 2) * (kWidth + kGap);
    const double top = (drawn / 2) * (kHeight + kHeading + kGap);
    body += fmt::format(
        "<g transform=\"translate({:.0f} {:.0f})\"><text class=\"title\" x=\"0\" "
        "y=\"20\">{}</text>",
        left, top, escape_html(chart.title));
    // From the right edge leftwards, about as wide as the letters are.
    double right = kWidth - kRight;
    for (auto item = drawing.legend.rbegin(); item != drawing.legend.rend(); ++item) {
      right -= 6.2 * double(item->second.size()) + 30;
      body += fmt::format(
          "<rect class=\"s{}\" x=\"{:.0f}\" y=\"14\" width=\"14\" height=\"4\"/>"
          "<text x=\"{:.0f}\" y=\"20\">{}</text>",
          item->first, right, right + 18, item->second);
    }
    body +=
        fmt::format("<g transform=\"translate(0 {:.0f})\">{}</g></g>\n", kHeading, drawing.body);
    ++drawn;
  }
  const int rows = (drawn + 1) / 2, columns = std::min(drawn, 2);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-16 -8 {:.0f} {:.0f}\">\n"
      "<style>svg {{ {} }}\n{}.title {{ font-size: 15px; font-weight: 600; fill: #1c2430; "
      "}}</style>\n"
      "<rect x=\"-16\" y=\"-8\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
      columns * (kWidth + kGap) + 8, rows * (kHeight + kHeading + kGap), kLightColors, kChartStyle,
      body);
}

}  // namespace asmlp
