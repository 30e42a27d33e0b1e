#include "asmlp/report/draw/segmentation_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/image/labels/class_color.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/model/palette_color.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/canvas.h"

namespace asmlp {
namespace {

constexpr Color kPaper{255, 255, 255};
constexpr Color kInk{32, 34, 38};
constexpr Color kFaint{118, 122, 128};
constexpr Color kBackgroundColor{128, 128, 128};

struct Legend {
  std::vector<ClassArea> areas;
  std::vector<std::string> names;  // of `areas`
  double unit = 1;                 // pixels per pixel of a picture of common size
  double row = 0, swatch = 0, gap = 0, name_width = 0, share_width = 0;
  size_t rows = 0;  // per column
  int columns = 0;

  Canvas::TextStyle name_style() const { return {.size = 13 * unit, .color = kInk}; }
  Canvas::TextStyle share_style() const {
    return {.size = 13 * unit, .color = kFaint, .anchor = Anchor::kRight};
  }
  std::string share(size_t i) const {
    const double per_cent = 100 * areas[i].share;
    return per_cent < 0.1 ? "< 0.1 %" : fmt::format("{:.1f} %", per_cent);
  }
  double column_width() const { return swatch + 2 * gap + name_width + gap + share_width + gap; }
  double width() const { return gap + columns * column_width(); }
  double height() const { return 2 * gap + static_cast<double>(rows) * row; }
};

// As many columns as it takes not to be much higher than the picture.
Legend plan_legend(std::vector<ClassArea> areas, const std::vector<std::string>& classes, int width,
                   int height) {
  Legend legend;
  legend.areas = std::move(areas);
  legend.unit = std::max(1.0, std::max(width, height) / 900.0);
  legend.row = 24 * legend.unit;
  legend.swatch = 16 * legend.unit;
  legend.gap = 8 * legend.unit;
  const Canvas ruler(1, 1, kPaper);
  for (size_t i = 0; i < legend.areas.size(); ++i) {
    legend.names.push_back(class_label(classes, legend.areas[i].index));
    legend.name_width =
        std::max(legend.name_width, ruler.text_width(legend.names.back(), legend.name_style()));
    legend.share_width =
        std::max(legend.share_width, ruler.text_width(legend.share(i), legend.share_style()));
  }
  legend.name_width = std::min(legend.name_width, 220 * legend.unit);
  legend.rows =
      static_cast<size_t>(std::max(8.0, std::floor((height - 2 * legend.gap) / legend.row)));
  legend.rows = std::min(legend.rows, legend.areas.size());
  legend.columns = static_cast<int>((legend.areas.size() + legend.rows - 1) / legend.rows);
  return legend;
}

void draw_legend(Canvas& canvas, const Legend& legend, const std::vector<Color>& colors,
                 double left) {
  for (size_t i = 0; i < legend.areas.size(); ++i) {
    const double x =
        left + legend.gap + static_cast<double>(i / legend.rows) * legend.column_width();
    const double y = legend.gap + static_cast<double>(i % legend.rows) * legend.row;
    const Color color = colors.at(static_cast<size_t>(legend.areas[i].index));
    const double top = y + (legend.row - legend.swatch) / 2;
    canvas.fill(x, top, legend.swatch, legend.swatch, color);
    canvas.frame(x, top, legend.swatch, legend.swatch, legend.unit, mix(color, kInk, 0.35));
    const double baseline = y + legend.row / 2 + 4.5 * legend.unit;
    const double text = x + legend.swatch + legend.gap;
    Canvas::TextStyle style = legend.name_style();
    style.max_width = legend.name_width + 1;
    canvas.text(text, baseline, legend.names[i], style);
    canvas.text(text + legend.name_width + legend.gap + legend.share_width, baseline,
                legend.share(i), legend.share_style());
  }
}

void check(const Image& image, const Image& labels) {
  require(image.channels == 3 && labels.channels == 1 && image.height == labels.height &&
              image.width == labels.width && image.height > 0 && image.width > 0,
          ErrorCode::kInvalidArgument, "an image of {} x {} x {} and labels of {} x {} x {}",
          image.height, image.width, image.channels, labels.height, labels.width, labels.channels);
}

bool is_background(const std::string& name) { return lower_case(name) == "background"; }

// Whether a neighbor to the right or below is of another class.
bool on_edge(const Image& labels, int y, int x) {
  const uint8_t own = labels.row(y)[x];
  return (x + 1 < labels.width && labels.row(y)[x + 1] != own) ||
         (y + 1 < labels.height && labels.row(y + 1)[x] != own);
}

}  // namespace

std::vector<Color> class_colors(int classes, const std::vector<std::string>& names,
                                const std::vector<std::string>& palette) {
  std::vector<Color> colors;
  for (const std::string& text : palette) {
    const auto [r, g, b] = palette_color(text);
    colors.push_back({r, g, b});
  }
  if (!colors.empty()) return colors;
  const std::vector<SegmentationClass>& known = ade20k_classes();
  const bool ade20k = names.empty()
                          ? classes == std::ssize(known)
                          : std::ranges::equal(names, known, {}, {}, &SegmentationClass::name);
  for (int k = 0; k < classes; ++k) {
    const auto place = static_cast<size_t>(k);
    const bool background = place < names.size() && is_background(names[place]);
    colors.push_back(ade20k       ? known[place % known.size()].color
                     : background ? kBackgroundColor
                                  : class_color(k));
  }
  return colors;
}

std::vector<ClassArea> class_areas(const Image& labels) {
  std::array<int64_t, 256> counts{};
  for (const uint8_t label : labels.pixels) ++counts[label];
  std::vector<ClassArea> areas;
  for (int k = 0; k < 256; ++k) {
    const int64_t count = counts[static_cast<size_t>(k)];
    if (count == 0) continue;
    areas.push_back({k, count, double(count) / static_cast<double>(labels.pixels.size())});
  }
  std::ranges::stable_sort(areas, std::ranges::greater(), &ClassArea::pixels);
  return areas;
}

Image overlay(const Image& image, const Image& labels, const std::vector<Color>& colors,
              double opacity) {
  check(image, labels);
  Image out(image.height, image.width, 3);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const uint8_t label = labels.row(y)[x];
      const uint8_t* pixel = image.row(y) + 3 * x;
      uint8_t* to = out.row(y) + 3 * x;
      if (label == kIgnoredLabel && label >= colors.size()) {
        std::copy_n(pixel, 3, to);
        continue;
      }
      require(label < colors.size(), ErrorCode::kInvalidArgument,
              "label {} at ({}, {}) has no color; there are {}", label, x, y, colors.size());
      const Color mixed =
          mix({pixel[0], pixel[1], pixel[2]}, colors[label], on_edge(labels, y, x) ? 1 : opacity);
      to[0] = mixed.r;
      to[1] = mixed.g;
      to[2] = mixed.b;
    }
  }
  return out;
}

void write_segmentation(const std::filesystem::path& path, const Image& image, const Image& labels,
                        const std::vector<std::string>& classes, const std::vector<Color>& colors,
                        double opacity) {
  check(image, labels);
  const int enlarged = std::max(1, 480 / std::max(image.height, image.width));
  const int width = image.width * enlarged, height = image.height * enlarged;
  const Legend legend = plan_legend(class_areas(labels), classes, width, height);
  Canvas canvas(width + static_cast<int>(std::ceil(legend.width())),
                std::max(height, static_cast<int>(std::ceil(legend.height()))), kPaper);
  canvas.image(overlay(image, labels, colors, opacity), 0, 0, width, height, Scaling::kNearest);
  draw_legend(canvas, legend, colors, width);
  canvas.save(path);
}

}  // namespace asmlp
