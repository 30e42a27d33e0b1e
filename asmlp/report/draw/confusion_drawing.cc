#include "asmlp/report/draw/confusion_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "asmlp/model/spec.h"
#include "asmlp/report/table.h"

namespace asmlp {
namespace {

constexpr Color kMatrixInk{32, 34, 38}, kMatrixFaint{118, 122, 128}, kMatrixPaper{255, 255, 255};
constexpr Color kBlue{24, 90, 160}, kOrange{214, 84, 20}, kRecognized{38, 128, 84};
constexpr double kTitle = 40;     // height of a title
constexpr double kAccuracy = 64;  // width of the column of accuracies
constexpr double kPairHeight = 26;

double matrix_cell(const Place& place, size_t classes, const MatrixStyle& style) {
  const double room = place.width - style.row_label - kAccuracy;
  return std::clamp(std::floor(room / double(classes)), 4.0, 44.0);
}

std::string cell_text(int64_t count, double share, Counted counted) {
  if (counted == Counted::kImages) return std::to_string(count);
  // Of pixels: percent, nothing where they would round to 0.
  return share < 0.005 ? "" : fmt::format("{:.0f}", 100 * share);
}

// A name's width, at most `most`, on any canvas.
double widest_name(const std::vector<std::string>& names, double font, double most) {
  const Canvas ruler(1, 1, kMatrixPaper);
  double width = 0;
  for (const std::string& name : names) {
    width = std::max(width, ruler.text_width(name, {.size = font}));
  }
  return std::min(width, most);
}

}  // namespace

double matrix_height(const Place& place, size_t classes, const MatrixStyle& style) {
  return kTitle + style.column_label + matrix_cell(place, classes, style) * double(classes) + 28;
}

void draw_matrix(Canvas& canvas, const Place& place, const ConfusionMatrix& confusion,
                 const std::vector<int>& shown, const std::vector<std::string>& classes,
                 const MatrixStyle& style) {
  const double cell = matrix_cell(place, shown.size(), style);
  const double font = std::clamp(cell * 0.34, 8.0, 12.5);
  const std::string title =
      static_cast<int>(shown.size()) == confusion.classes()
          ? style.counted == Counted::kImages ? "Confusion matrix"
                                              : "Confusion matrix, percent of a class's pixels"
          : fmt::format("Confusion matrix of the {} classes with most errors", shown.size());
  canvas.text(place.x, place.y + 20, title, {.size = 16, .color = kMatrixInk, .bold = true});
  const double left = place.x + style.row_label;
  const double top = place.y + kTitle + style.column_label;
  const double extent = cell * double(shown.size());
  canvas.fill(left, top, extent, extent, kMatrixPaper);
  canvas.text(left + extent + 10, top - 8, "correct", {.size = 11, .color = kMatrixFaint});
  canvas.text(place.x, top - 8, "true class", {.size = 11, .color = kMatrixFaint});
  canvas.text(left + extent / 2, top + extent + 20, "predicted class",
              {.size = 11, .color = kMatrixFaint, .anchor = Anchor::kCenter});
  for (size_t r = 0; r < shown.size(); ++r) {
    const double y = top + cell * double(r);
    const double baseline = y + cell / 2 + font * 0.36;
    const int64_t total = class_total(confusion, shown[r]);
    canvas.text(left - 8, baseline, class_label(classes, shown[r]),
                {.size = font,
                 .color = kMatrixInk,
                 .anchor = Anchor::kRight,
                 .max_width = style.row_label - 10});
    canvas.text(
        left + cell * (double(r) + 0.5) + 3, top - 8, class_label(classes, shown[r]),
        {.size = font, .color = kMatrixInk, .max_width = 1.25 * style.column_label, .angle = 45});
    for (size_t c = 0; c < shown.size(); ++c) {
      const int64_t count = confusion.at(shown[r], shown[c]);
      if (count == 0) continue;
      const double share = double(count) / double(total);
      // Errors are rare: the square root makes them visible.
      const double shade = r == c ? 0.12 + 0.78 * share : 0.06 + 0.94 * std::sqrt(share);
      canvas.fill(left + cell * double(c), y, cell, cell,
                  mix(kMatrixPaper, r == c ? kBlue : kOrange, std::min(1.0, shade)));
      const std::string text = cell_text(count, share, style.counted);
      if (text.empty()) continue;
      const double size = std::min(font, cell * 1.5 / double(text.size()));
      if (size >= 7) {
        canvas.text(left + cell * (double(c) + 0.5), y + cell / 2 + size * 0.36, text,
                    {.size = size,
                     .color = shade > 0.55 ? kMatrixPaper : kMatrixInk,
                     .anchor = Anchor::kCenter});
      }
    }
    const double accuracy = class_accuracy(confusion, shown[r]);
    canvas.fill(left + extent + 10, y + cell * 0.5 + font * 0.6, 54 * accuracy, 3, kRecognized);
    canvas.text(left + extent + 64, baseline - 2,
                total > 0 ? fmt::format("{:.1f}%", accuracy * 100) : "-",
                {.size = font, .color = kMatrixInk, .anchor = Anchor::kRight});
  }
  for (size_t i = 0; i <= shown.size(); ++i) {
    canvas.fill(left + cell * double(i), top, 1, extent + 1, {226, 226, 222});
    canvas.fill(left, top + cell * double(i), extent + 1, 1, {226, 226, 222});
  }
}

double pairs_height(size_t pairs) { return pairs == 0 ? 0 : kTitle + kPairHeight * double(pairs); }

void draw_pairs(Canvas& canvas, const Place& place, const ConfusionMatrix& confusion,
                const std::vector<Confusion>& pairs, const std::vector<std::string>& classes,
                Counted counted) {
  canvas.text(place.x, place.y + 20, "Most frequent confusions",
              {.size = 16, .color = kMatrixInk, .bold = true});
  const double names = place.width * 0.56;
  const double bars = place.width - names - 120;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Confusion& pair = pairs[i];
    const double y = place.y + kTitle + kPairHeight * double(i);
    canvas.text(place.x, y + 12,
                fmt::format("{} taken for {}", class_label(classes, pair.target),
                            class_label(classes, pair.predicted)),
                {.size = 13, .color = kMatrixInk, .max_width = names - 10});
    const double length = bars * double(pair.count) / double(pairs.front().count);
    canvas.fill(place.x + names, y + 1, std::max(1.0, length), 13,
                mix(kMatrixPaper, kOrange, 0.75));
    const int64_t total = class_total(confusion, pair.target);
    const std::string amount =
        counted == Counted::kImages
            ? fmt::format("{} of {}", group_digits(pair.count), group_digits(total))
            : fmt::format("{:.1f} % of its pixels", 100 * double(pair.count) / double(total));
    canvas.text(place.x + names + length + 8, y + 12, amount, {.size = 12, .color = kMatrixFaint});
  }
}

int64_t class_total(const ConfusionMatrix& confusion, int target) {
  int64_t total = 0;
  for (int c = 0; c < confusion.classes(); ++c) total += confusion.at(target, c);
  return total;
}

double class_accuracy(const ConfusionMatrix& confusion, int target) {
  const int64_t total = class_total(confusion, target);
  return total > 0 ? double(confusion.at(target, target)) / double(total) : 0;
}

std::vector<Confusion> most_confused(const ConfusionMatrix& confusion, int limit) {
  std::vector<Confusion> pairs;
  for (int r = 0; r < confusion.classes(); ++r) {
    for (int c = 0; c < confusion.classes(); ++c) {
      if (r != c && confusion.at(r, c) > 0) pairs.push_back({r, c, confusion.at(r, c)});
    }
  }
  std::ranges::stable_sort(pairs, std::greater(), &Confusion::count);
  if (pairs.size() > static_cast<size_t>(limit)) pairs.resize(static_cast<size_t>(limit));
  return pairs;
}

std::vector<int> classes_with_errors(const ConfusionMatrix& confusion, int limit) {
  std::vector<int64_t> errors;
  for (int k = 0; k < confusion.classes(); ++k) {
    errors.push_back(class_total(confusion, k) - confusion.at(k, k));
  }
  std::vector<int> order(errors.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](int k) { return errors[size_t(k)]; });
  if (order.size() > static_cast<size_t>(limit)) order.resize(static_cast<size_t>(limit));
  std::ranges::sort(order);
  return order;
}

Image confusion_picture(const ConfusionMatrix& confusion, const std::vector<std::string>& classes,
                        Counted counted) {
  constexpr double kEdge = 20;
  const int count = confusion.classes();
  if (count > kMaxMatrixClasses) {
    const std::vector<Confusion> pairs = most_confused(confusion, 40);
    const Place place{kEdge, kEdge, 900};
    Canvas canvas(static_cast<int>(place.width + 2 * kEdge),
                  static_cast<int>(std::max(80.0, pairs_height(pairs.size())) + 2 * kEdge),
                  kMatrixPaper);
    if (!pairs.empty()) {
      draw_pairs(canvas, place, confusion, pairs, classes, counted);
    } else {
      canvas.text(place.x, place.y + 20, "No class was taken for another",
                  {.size = 16, .color = kMatrixInk, .bold = true});
    }
    return canvas.pixels();
  }
  std::vector<int> shown(static_cast<size_t>(count));
  std::iota(shown.begin(), shown.end(), 0);
  std::vector<std::string> names;
  for (const int k : shown) names.push_back(class_label(classes, k));
  const double cell = count <= 12 ? 44 : count <= 25 ? 34 : 26;
  const double name = widest_name(names, std::min(12.5, std::max(8.0, cell * 0.34)), 200);
  MatrixStyle style{.counted = counted,
                    .row_label = std::max(70.0, name + 14),
                    .column_label = std::max(40.0, 0.8 * name + 10)};
  const Place place{kEdge, kEdge, style.row_label + kAccuracy + cell * count};
  // The last slanted name reaches over the edge, and the title may be wider than a small matrix.
  const double width = std::max(place.width + std::max(0.0, style.column_label - kAccuracy), 420.0);
  Canvas canvas(static_cast<int>(width + 2 * kEdge),
                static_cast<int>(matrix_height(place, shown.size(), style) + kEdge), kMatrixPaper);
  draw_matrix(canvas, place, confusion, shown, classes, style);
  return canvas.pixels();
}

}  // namespace asmlp
