#include "asmlp/report/draw/curve_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "asmlp/core/error.h"
#include "asmlp/image/labels/class_color.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/canvas.h"

namespace asmlp {
namespace {

constexpr Color kCurvePaper{255, 255, 255};
constexpr double kPlotWidth = 360, kPlotHeight = 270, kLegendWidth = 210;
constexpr double kPlotLeft = 56, kPlotTop = 40, kPlotBottom = 48, kEntry = 22;
constexpr double kCellWide = kPlotLeft + kPlotWidth + 16 + kLegendWidth;
constexpr double kCellHigh = kPlotTop + kPlotHeight + kPlotBottom;

struct NamedCurve {
  std::string name;
  CocoCurve precision{};
  Color color;
  double line = 2.4;
};

double area_below(const CocoCurve& curve) {
  return std::accumulate(curve.begin(), curve.end(), 0.0) / kCocoRecalls;
}

void draw_axes(Canvas& canvas, double left, double top, const std::string& title) {
  const Canvas::TextStyle small{.size = 12, .color = kLight.muted};
  canvas.text(left, top - 14, title, {.size = 15, .color = kLight.ink, .bold = true});
  for (int i = 0; i <= 5; ++i) {
    const double share = i / 5.0, x = left + kPlotWidth * share;
    const double y = top + kPlotHeight * (1 - share);
    canvas.fill(left, y, kPlotWidth, 1, kLight.grid);
    canvas.fill(x, top, 1, kPlotHeight, kLight.grid);
    Canvas::TextStyle style = small;
    style.anchor = Anchor::kRight;
    canvas.text(left - 6, y + 4, fmt::format("{:.1f}", share), style);
    style.anchor = Anchor::kCenter;
    canvas.text(x, top + kPlotHeight + 17, fmt::format("{:.1f}", share), style);
  }
  Canvas::TextStyle style = small;
  style.anchor = Anchor::kCenter;
  canvas.text(left + kPlotWidth / 2, top + kPlotHeight + 37, "recall", style);
  style.angle = 90;
  canvas.text(left - 38, top + kPlotHeight / 2, "precision", style);
}

void draw_curves(Canvas& canvas, double x, double y, const std::string& title,
                 const std::vector<NamedCurve>& curves, const std::string& note) {
  const double left = x + kPlotLeft, top = y + kPlotTop;
  draw_axes(canvas, left, top, title);
  // The first of the legend is drawn last: on top.
  for (size_t i = curves.size(); i-- > 0;) {
    std::vector<std::pair<double, double>> points;
    for (int r = 0; r < kCocoRecalls; ++r) {
      points.emplace_back(left + kPlotWidth * r / (kCocoRecalls - 1.0),
                          top + kPlotHeight * (1 - curves[i].precision[size_t(r)]));
    }
    canvas.polyline(points, curves[i].line, curves[i].color);
  }
  const double legend = left + kPlotWidth + 16;
  double at = top + 8;
  for (const NamedCurve& curve : curves) {
    canvas.fill(legend, at - 3, 18, 4, curve.color);
    const std::string area = fmt::format("{:.3f}", area_below(curve.precision));
    canvas.text(legend + 26, at + 4, curve.name,
                {.size = 12, .color = kLight.ink, .max_width = kLegendWidth - 74});
    canvas.text(legend + kLegendWidth - 8, at + 4, area,
                {.size = 12, .color = kLight.ink, .anchor = Anchor::kRight});
    at += kEntry;
  }
  if (!note.empty()) {
    canvas.text(legend, at + 6, note,
                {.size = 11, .color = kLight.muted, .max_width = kLegendWidth - 8});
  }
}

std::vector<NamedCurve> means_of(const CocoScores& scores) {
  CocoCurve all{};
  for (int t = 0; t < kCocoOverlaps; ++t) {
    const CocoCurve curve = mean_curve(scores, t);
    for (size_t r = 0; r < all.size(); ++r) all[r] += curve[r] / kCocoOverlaps;
  }
  std::vector<NamedCurve> curves{{"IoU 0.50", mean_curve(scores, 0), kLight.series[0]},
                                 {"IoU 0.75", mean_curve(scores, 5), kLight.series[1]},
                                 {"IoU 0.50:0.95", all, kLight.series[2]}};
  if (all[0] < 0) curves.clear();  // nothing to find
  return curves;
}

std::vector<NamedCurve> classes_of(const CocoScores& scores,
                                   const std::vector<std::string>& classes) {
  std::vector<NamedCurve> curves;
  for (size_t k = 0; k < scores.curves.size(); ++k) {
    const CocoCurve& curve = scores.curves[k][0];
    if (curve[0] < 0) continue;
    const int label = static_cast<int>(k);
    curves.push_back({class_label(classes, label), curve, class_color(label), 2});
  }
  std::ranges::stable_sort(curves, {}, [](const NamedCurve& c) { return area_below(c.precision); });
  if (curves.size() > size_t{kCurveClasses}) curves.resize(kCurveClasses);
  std::ranges::reverse(curves);
  return curves;
}

}  // namespace

Image precision_recall_picture(const std::vector<CurvePanel>& panels,
                               const std::vector<std::string>& classes) {
  require(!panels.empty(), ErrorCode::kInvalidArgument, "no curves to draw");
  constexpr double kEdge = 16;
  Canvas canvas(static_cast<int>(2 * kCellWide + 3 * kEdge),
                static_cast<int>(kCellHigh * double(panels.size()) + 2 * kEdge), kCurvePaper);
  double y = kEdge;
  for (const CurvePanel& panel : panels) {
    const std::vector<NamedCurve> own = classes_of(panel.scores, classes);
    const auto found = std::ranges::count_if(panel.scores.curves,
                                             [](const auto& curves) { return curves[0][0] >= 0; });
    draw_curves(canvas, kEdge, y, panel.title + ", mean of the classes", means_of(panel.scores),
                "");
    draw_curves(canvas, 2 * kEdge + kCellWide, y, panel.title + ", classes at IoU 0.50", own,
                found > std::ssize(own)
                    ? fmt::format("the {} lowest of {} classes", own.size(), found)
                    : "");
    y += kCellHigh;
  }
  return canvas.pixels();
}

}  // namespace asmlp
