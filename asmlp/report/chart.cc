#include "asmlp/report/chart.h"

#include <fmt/format.h>

#include <algorithm>

#include "asmlp/report/chart_drawing.h"
#include "asmlp/report/html.h"
#include "asmlp/report/table.h"

namespace asmlp {
namespace {

constexpr double kHeading = 34, kGap = 24;  // of charts_svg

// Title on the left; the legend from the right edge leftwards, about as wide as its letters are.
std::string heading_svg(const Chart& chart, const ChartDrawing& drawing, const Paints& paints) {
  std::string svg = fmt::format(
      "<text x=\"0\" y=\"20\" fill=\"{}\" font-size=\"15\" font-weight=\"600\">{}</text>",
      paints.ink, escape_html(chart.title));
  double right = kChartWidth - kChartRight;
  for (auto item = drawing.legend.rbegin(); item != drawing.legend.rend(); ++item) {
    right -= 6.2 * display_width(item->second) + 30;
    svg += fmt::format(
        "<rect x=\"{:.0f}\" y=\"14\" width=\"14\" height=\"4\" fill=\"{}\"/>"
        "<text x=\"{:.0f}\" y=\"20\" fill=\"{}\">{}</text>",
        right, paints.series[item->first], right + 18, paints.muted, escape_html(item->second));
  }
  return svg;
}

}  // namespace

const char* const kChartStyle = R"(figure { margin: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1em; align-items: baseline; }
figcaption b { margin-right: auto; }
figcaption span { font-size: .85em; color: var(--muted); }
figcaption i { display: inline-block; width: .9em; height: .25em; border-radius: 2px;
  margin-right: .4em; vertical-align: middle; }
svg { display: block; width: 100%; height: auto; }
.hover rect { fill: transparent; } .hover path { stroke: var(--muted); visibility: hidden; }
.hover:hover path { visibility: visible; }
)";

std::string chart_html(const Chart& chart) {
  const Paints paints = property_paints();
  const ChartDrawing drawing = draw_chart(chart, paints, Pointer::kShowsValues);
  if (drawing.body.empty()) return "";
  std::string legend;
  for (const auto& [series, text] : drawing.legend) {
    legend += fmt::format("<span><i style=\"background: {}\"></i>{}</span>", paints.series[series],
                          escape_html(text));
  }
  return fmt::format(
      "<figure><figcaption><b>{0}</b>{1}</figcaption>"
      "<svg viewBox=\"0 0 {2:.0f} {3:.0f}\" role=\"img\" "
      "aria-label=\"{0}\" {4}>{5}</svg></figure>\n",
      escape_html(chart.title), legend, kChartWidth, kChartHeight, kChartFont, drawing.body);
}

std::string charts_svg(const std::vector<Chart>& charts) {
  const Paints paints = literal_paints(kLight);
  std::string body;
  int drawn = 0;
  for (const Chart& chart : charts) {
    const ChartDrawing drawing = draw_chart(chart, paints, Pointer::kIgnored);
    if (drawing.body.empty()) continue;
    const double left = (drawn % 2) * (kChartWidth + kGap);
    const double top = (drawn / 2) * (kChartHeight + kHeading + kGap);
    body += fmt::format(
        "<g transform=\"translate({:.0f} {:.0f})\">{}<g transform=\"translate(0 {:.0f})\">{}</g>"
        "</g>\n",
        left, top, heading_svg(chart, drawing, paints), kHeading, drawing.body);
    ++drawn;
  }
  const int rows = (drawn + 1) / 2, columns = std::min(drawn, 2);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-16 -8 {0:.0f} {1:.0f}\" {2}>\n"
      "<rect x=\"-16\" y=\"-8\" width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"{3}\"/>\n{4}</svg>\n",
      columns * (kChartWidth + kGap) + 8, rows * (kChartHeight + kHeading + kGap), kChartFont,
      paints.paper, body);
}

}  // namespace asmlp
