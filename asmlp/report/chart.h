// Curves as SVG, inside an HTML page or as a picture.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asmlp {

// Text as the content of an HTML element or a quoted attribute: & < > " ' escaped, control
// characters (which no page may hold) replaced.
std::string escape_html(std::string_view text);

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // by ascending x; not finite y: a gap
};

struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;  // at most 4, which is how many colors there are
  // Decimal logarithm instead of the value, where all values are positive and they span more than
  // two decades.
  bool may_be_logarithmic = false;
  bool from_zero = false;  // the axis of the values begins at 0
};

// Positions of ticks within [low, high]: multiples of 1, 2 or 5 times a power of ten, about `count`
// of them. low < high, both finite.
std::vector<double> ticks(double low, double high, int count);

// A <figure> with heading, legend, axes, a line per series and, under the pointer, the values as
// titles. Series of many points are drawn as their mean per column of pixels, over a pale band from
// the least to the greatest. "" without a finite point. Classes are those of kChartStyle.
std::string chart_html(const Chart& chart);

// The charts in two columns as one SVG picture of its own, on white, without what needs a pointer.
std::string charts_svg(const std::vector<Chart>& charts);

// The rules that chart_html relies on. Colors are custom properties: --ink, --muted, --grid,
// --card, --series-1 to --series-4.
extern const char* const kChartStyle;

}  // namespace asmlp
