// What is inside of a chart's frame: axes and lines as elements of SVG.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/report/chart.h"
#include "asmlp/report/palette.h"

namespace asmlp {

// A drawing in its own units, which is scaled to its place.
inline constexpr double kChartWidth = 640, kChartHeight = 300;
inline constexpr double kChartRight = 14;  // margin on the right of the lines
// Of its letters, as attributes that its elements inherit.
inline constexpr const char* kChartFont = "font-family=\"system-ui, sans-serif\" font-size=\"11\"";

struct ChartDrawing {
  std::string body;                                    // "" without a finite point
  std::vector<std::pair<size_t, std::string>> legend;  // number of the series, text
};

// Under the pointer: nothing, or a hairline and the values as titles, for a page with kChartStyle.
enum class Pointer { kIgnored, kShowsValues };

ChartDrawing draw_chart(const Chart& chart, const Paints& paints, Pointer pointer);

}  // namespace asmlp
