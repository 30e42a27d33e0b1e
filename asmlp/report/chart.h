// Curves as SVG, inside an HTML page or as a picture.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "asmlp/report/axis.h"

namespace asmlp {

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
  bool from_zero = false;     // the axis of the values begins at 0
  Range limits = kUnlimited;  // what the axis of the values shows at most
};

// A <figure> with heading, legend, axes, a line per series and, under the pointer, the values as
// titles. Series of many points are drawn as their mean per column of pixels, over a pale band from
// the least to the greatest. "" without a finite point. The page around it has kChartStyle and the
// css_properties of a palette (palette.h). Error(kInvalidArgument) for more series than colors.
std::string chart_html(const Chart& chart);

// The charts in two columns as one SVG picture of its own, on white, without what needs a pointer.
// Colors, widths and fonts are attributes, so that every program that draws SVG draws it.
std::string charts_svg(const std::vector<Chart>& charts);

// The rules that chart_html relies on.
extern const char* const kChartStyle;

}  // namespace asmlp
