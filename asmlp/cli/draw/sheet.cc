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
constexpr Color kWrong{200, 50, 38};

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

}  // namespace

void write_sheet(const std::filesystem::path& path, const Sheet& sheet,
                 const ConfusionMatrix& confusion) {
  const std::vector<int> shown = classes_with_errors(confusion, 20);
  const double right = kMargin + kColumns * kCellWidth + 40;
  Place matrix{right, kHeader, kWidth - kMargin - right};
  const Place pairs_at{right, kHeader + matrix_height(matrix, shown.size()) + 12, matrix.width};
  const double pair_height = pairs_height(2) - pairs_height(1);
  const double left_height = grid_height(sheet.samples) + grid_height(sheet.mistakes);
  const std::vector<Confusion> pairs = most_confused(
      confusion, std::max(10, int((left_height + kHeader - pairs_at.y - kSection) / pair_height)));
  const double right_height = pairs_at.y - kHeader + pairs_height(pairs.size());
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
