// The figures of a validation, by name.
#pragma once

#include <string>
#include <vector>

namespace asmlp::train {

struct Figure {
  std::string name;  // of figure_info's list: "top1", "bbox_AP", "mIoU", ...
  double value = 0;
  bool operator==(const Figure&) const = default;
};

// In the order in which they are shown.
using Figures = std::vector<Figure>;

// The value of a figure, NaN when it is not among them.
double value_of(const Figures& figures, const std::string& name);

struct FigureInfo {
  const char* name;   // in files: summary.csv, run.json, TensorBoard's tags
  const char* label;  // for people
  const char* unit;   // "%", or "" for fractions and losses
  const char* help;
  const char* chart;  // title of the chart in which it is drawn
};

// Error(kInvalidArgument) for an unknown name.
const FigureInfo& figure_info(const std::string& name);

// "81.234 %" or "0.5123", with the unit of the figure.
std::string figure_text(const Figure& figure);

}  // namespace asmlp::train
