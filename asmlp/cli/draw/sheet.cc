#include "asmlp/cli/draw/sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "asmlp/model/spec.h"
#include "asmlp/report/canvas.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

constexpr Color kBackground{250, 250, 248};
constexpr Color kSheetInk{32, 34, 38};
constexpr Color kSheetFaint{118, 122, 128};
constexpr Color kRight{38, 128, 84};
constexpr Color kWrong{200, 50, 38};
constexpr Color kSheetPaper{255, 255, 255};
constexpr Color kBlue{24, 90, 160};
constexpr Color kOrange{214, 84, 20};

constexpr int kWidth = 1600;
constexpr int kMargin = 36;
constexpr int kHeader = 104;
constexpr int kColumns = 8;
constexpr int kPicture = 96;
constexpr int kCellWidth = 114;
constexpr int kCellHeight = 144;
constexpr int kSection = 40;  // height of a section's title

// The side at which an image is shown: a whole factor of small ones, so that pixels stay square.
int shown_side(const Image& image) {
  return image.width <= kPicture ? kPicture / image.width * image.width : kPicture;
}

void draw_item(Canvas& canvas, double x, double y, const SheetItem& item,
               const std::vector<std::string>& classes) {
  const bool right = item.target == item.predicted;
  const int side = shown_side(item.image);
  const double inset = (kCellWidth - side) / 2.0;
  const Scaling scaling = item.image.width <= kPicture ? Scaling::kNearest : Scaling::kSmooth;
  const double middle = x + kCellWidth / 2.0;
  canvas.image(item.image, x + inset, y, side, side, scaling);
  canvas.frame(x + inset - 3, y - 3, side + 6, side + 6, 3, right ? Color{222, 222, 218} : kWrong);
  const double text = y + side + 20;
  const std::string percent = fmt::format(" {:.0f}%", item.probability * 100);
  const Canvas::TextStyle style{.size = 12,
                                .color = right ? kSheetInk : kWrong,
                                .anchor = Anchor::kCenter,
                                .bold = !right,
                                .max_width = kCellWidth - 6.0};
  // A long name gives way, the number stays.
  std::string label = class_label(classes, item.predicted);
  while (display_width(label) > 3 && canvas.text_width(label + percent, style) > style.max_width) {
    label = truncated(label, display_width(label) - 1);
  }
  canvas.text(middle, text, label + percent, style);
  if (!right) {
    canvas.text(middle, text + 16, "is " + class_label(classes, item.target),
                {.size = 12,
                 .color = kSheetFaint,
                 .anchor = Anchor::kCenter,
                 .max_width = kCellWidth - 6.0});
  }
}

int rows_of(size_t items) { return (static_cast<int>(items) + kColumns - 1) / kColumns; }

// A titled grid; returns the y below it.
double draw_grid(Canvas& canvas, double y, const std::string& title,
                 const std::vector<SheetItem>& items, const std::vector<std::string>& classes) {
  if (items.empty()) return y;
  canvas.text(kMargin, y + 20, title, {.size = 16, .color = kSheetInk, .bold = true});
  y += kSection;
  for (size_t i = 0; i < items.size(); ++i) {
    const int column = static_cast<int>(i) % kColumns;
    const int row = static_cast<int>(i) / kColumns;
    draw_item(canvas, kMargin + column * kCellWidth, y + row * kCellHeight, items[i], classes);
  }
  return y + rows_of(items.size()) * kCellHeight;
}

double grid_height(const std::vector<SheetItem>& items) {
  return items.empty() ? 0 : kSection + rows_of(items.size()) * kCellHeight;
}

struct Place {
  double x;
  double y;
  double width;
};

constexpr double kRowLabel = 112;    // room for the row names
constexpr double kColumnLabel = 84;  // and for the slanted column names
constexpr double kAccuracy = 64;     // accuracy column

double matrix_cell(const Place& place, size_t classes) {
  return std::min(44.0, std::floor((place.width - kRowLabel - kAccuracy) / double(classes)));
}

double matrix_height(const Place& place, size_t classes) {
  return kSection + kColumnLabel + matrix_cell(place, classes) * double(classes) + 28;
}

// Rows are true classes, columns predictions, shades the share of the row.
void draw_matrix(Canvas& canvas, const Place& place, const ConfusionMatrix& confusion,
                 const std::vector<int>& shown, const std::vector<std::string>& classes) {
  const double cell = matrix_cell(place, shown.size());
  const double font = std::clamp(cell * 0.34, 8.0, 12.5);
  const std::string title =
      static_cast<int>(shown.size()) == confusion.classes()
          ? "Confusion matrix"
          : fmt::format("Confusion matrix of the {} classes with most errors", shown.size());
  canvas.text(place.x, place.y + 20, title, {.size = 16, .color = kSheetInk, .bold = true});
  const double left = place.x + kRowLabel;
  const double top = place.y + kSection + kColumnLabel;
  const double extent = cell * double(shown.size());
  canvas.fill(left, top, extent, extent, kSheetPaper);
  canvas.text(left + extent + 10, top - 8, "correct", {.size = 11, .color = kSheetFaint});
  canvas.text(place.x, top - 8, "true class", {.size = 11, .color = kSheetFaint});
  canvas.text(left + extent / 2, top + extent + 20, "predicted class",
              {.size = 11, .color = kSheetFaint, .anchor = Anchor::kCenter});
  for (size_t r = 0; r < shown.size(); ++r) {
    const double y = top + cell * double(r);
    const double baseline = y + cell / 2 + font * 0.36;
    const int64_t total = class_total(confusion, shown[r]);
    canvas.text(
        left - 8, baseline, class_label(classes, shown[r]),
        {.size = font, .color = kSheetInk, .anchor = Anchor::kRight, .max_width = kRowLabel - 10});
    canvas.text(left + cell * (double(r) + 0.5) + 3, top - 8, class_label(classes, shown[r]),
                {.size = font, .color = kSheetInk, .max_width = 105, .angle = 45});
    for (size_t c = 0; c < shown.size(); ++c) {
      const int64_t count = confusion.at(shown[r], shown[c]);
      if (count == 0) continue;
      const double share = double(count) / double(total);
      // Errors are rare: the square root makes them visible.
      const double shade = r == c ? 0.12 + 0.78 * share : 0.06 + 0.94 * std::sqrt(share);
      canvas.fill(left + cell * double(c), y, cell, cell,
                  mix(kSheetPaper, r == c ? kBlue : kOrange, std::min(1.0, shade)));
      const std::string text = std::to_string(count);
      const double size = std::min(font, cell * 1.5 / double(text.size()));
      if (size >= 7) {
        canvas.text(left + cell * (double(c) + 0.5), y + cell / 2 + size * 0.36, text,
                    {.size = size,
                     .color = shade > 0.55 ? kSheetPaper : kSheetInk,
                     .anchor = Anchor::kCenter});
      }
    }
    const double accuracy = class_accuracy(confusion, shown[r]);
    canvas.fill(left + extent + 10, y + cell * 0.5 + font * 0.6, 54 * accuracy, 3, kRight);
    canvas.text(left + extent + 64, baseline - 2,
                total > 0 ? fmt::format("{:.1f}%", accuracy * 100) : "-",
                {.size = font, .color = kSheetInk, .anchor = Anchor::kRight});
  }
  for (size_t i = 0; i <= shown.size(); ++i) {
    canvas.fill(left + cell * double(i), top, 1, extent + 1, {226, 226, 222});
    canvas.fill(left, top + cell * double(i), extent + 1, 1, {226, 226, 222});
  }
}

constexpr double kPairHeight = 26;

// Bars of the most frequent confusions.
void draw_pairs(Canvas& canvas, const Place& place, const ConfusionMatrix& confusion,
                const std::vector<Confusion>& pairs, const std::vector<std::string>& classes) {
  canvas.text(place.x, place.y + 20, "Most frequent confusions",
              {.size = 16, .color = kSheetInk, .bold = true});
  const double names = place.width * 0.56;
  const double bars = place.width - names - 110;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Confusion& pair = pairs[i];
    const double y = place.y + kSection + kPairHeight * double(i);
    canvas.text(place.x, y + 12,
                fmt::format("{} taken for {}", class_label(classes, pair.target),
                            class_label(classes, pair.predicted)),
                {.size = 13, .color = kSheetInk, .max_width = names - 10});
    const double length = bars * double(pair.count) / double(pairs.front().count);
    canvas.fill(place.x + names, y + 1, std::max(1.0, length), 13, mix(kSheetPaper, kOrange, 0.75));
    canvas.text(place.x + names + length + 8, y + 12,
                fmt::format("{} of {}", group_digits(pair.count),
                            group_digits(class_total(confusion, pair.target))),
                {.size = 12, .color = kSheetFaint});
  }
}

}  // namespace

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

void write_sheet(const std::filesystem::path& path, const Sheet& sheet,
                 const ConfusionMatrix& confusion) {
  const std::vector<int> shown = classes_with_errors(confusion, 20);
  const double right = kMargin + kColumns * kCellWidth + 40;
  Place matrix{right, kHeader, kWidth - kMargin - right};
  const Place pairs_at{right, kHeader + matrix_height(matrix, shown.size()) + 12, matrix.width};
  const double left_height = grid_height(sheet.samples) + grid_height(sheet.mistakes);
  const std::vector<Confusion> pairs = most_confused(
      confusion, std::max(10, int((left_height + kHeader - pairs_at.y - kSection) / kPairHeight)));
  const double right_height =
      pairs_at.y - kHeader + (pairs.empty() ? 0 : kSection + kPairHeight * double(pairs.size()));
  const double height = kHeader + std::max(left_height, right_height) + kMargin / 2.0;

  Canvas canvas(kWidth, static_cast<int>(std::ceil(height)), kBackground);
  canvas.text(kMargin, 48, sheet.title,
              {.size = 28, .color = kSheetInk, .bold = true, .max_width = kWidth - 2.0 * kMargin});
  canvas.text(kMargin, 76, sheet.subtitle,
              {.size = 15, .color = kSheetFaint, .max_width = kWidth - 2.0 * kMargin});
  const double y =
      draw_grid(canvas, kHeader, "Samples, with the predicted class", sheet.samples, sheet.classes);
  draw_grid(canvas, y, "The most confident mistakes", sheet.mistakes, sheet.classes);
  draw_matrix(canvas, matrix, confusion, shown, sheet.classes);
  if (!pairs.empty()) draw_pairs(canvas, pairs_at, confusion, pairs, sheet.classes);
  canvas.save(path);
}

}  // namespace asmlp::cli
