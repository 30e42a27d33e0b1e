#include "asmlp/report/draw/tiles.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/image/resize.h"
#include "asmlp/report/canvas.h"
#include "asmlp/report/table.h"

namespace asmlp {
namespace {

constexpr Color kTilePaper{255, 255, 255};
constexpr double kGap = 16, kPanelGap = 6, kFrame = 3, kFont = 12, kLine = 17, kHeading = 18;
constexpr double kSwatch = 12;
// So that a line of text has some room below a narrow image.
constexpr double kLeastWidth = 132;

struct TileSize {
  double panels = 0;  // width of the panels
  double height = 0;
};

TileSize size_of(const Tile& tile) {
  TileSize size;
  for (const Image& panel : tile.panels) {
    size.panels += panel.width;
    size.height = std::max(size.height, double(panel.height));
  }
  size.panels += kPanelGap * std::max(0.0, double(tile.panels.size()) - 1);
  size.height +=
      2 * kFrame + (tile.headings.empty() ? 0 : kHeading) + kLine * double(tile.lines.size());
  return size;
}

void draw_line(Canvas& canvas, double x, double y, double width, const TileLine& line) {
  const Canvas::TextStyle style{.size = kFont, .color = line.color, .bold = line.bold};
  const std::string tail = line.tail.empty() ? "" : " " + line.tail;
  std::string text = line.text;
  for (int columns = display_width(text) - 1;
       columns > 0 && canvas.text_width(text + tail, style) > width; --columns) {
    text = truncated(line.text, columns);
  }
  canvas.text(x, y, text + tail, style);
}

// The panels start kFrame to the right of `x`; there is room for `width` of text.
void draw_tile(Canvas& canvas, double x, double y, double width, const Tile& tile) {
  const double left = x + kFrame;
  double height = 0;
  if (!tile.headings.empty()) y += kHeading;
  double panel_x = left;
  for (size_t p = 0; p < tile.panels.size(); ++p) {
    const Image& panel = tile.panels[p];
    canvas.image(panel, panel_x, y + kFrame, panel.width, panel.height, Scaling::kNearest);
    if (p < tile.headings.size()) {
      canvas.text(panel_x, y - 4, tile.headings[p],
                  {.size = kFont, .color = kLight.muted, .max_width = double(panel.width)});
    }
    if (tile.mark != Mark::kNone) {
      canvas.frame(panel_x - kFrame, y, panel.width + 2 * kFrame, panel.height + 2 * kFrame, kFrame,
                   tile.mark == Mark::kWrong ? kWrongColor : kLight.grid);
    }
    panel_x += panel.width + kPanelGap;
    height = std::max(height, double(panel.height));
  }
  y += height + 2 * kFrame;
  for (const TileLine& line : tile.lines) {
    draw_line(canvas, left, y + kFont + 1, width, line);
    y += kLine;
  }
}

struct TileLegend {
  struct Place {
    double x = 0, y = 0;
  };
  std::vector<LegendEntry> entries;
  std::vector<Place> places;
  double height = 0;
};

// Lines of swatches and names within a width, each class once, in the order of first appearance.
TileLegend plan_tile_legend(std::span<const Tile> tiles, double width) {
  TileLegend legend;
  for (const Tile& tile : tiles) {
    for (const LegendEntry& entry : tile.legend) {
      if (std::ranges::find(legend.entries, entry) == legend.entries.end())
        legend.entries.push_back(entry);
    }
  }
  const Canvas ruler(1, 1, kTilePaper);
  double x = 0, y = 0;
  for (const LegendEntry& entry : legend.entries) {
    const double needed = kSwatch + 6 + ruler.text_width(entry.name, {.size = kFont}) + 18;
    if (x > 0 && x + needed > width) x = 0, y += kLine + 3;
    legend.places.push_back({x, y});
    x += needed;
  }
  if (!legend.entries.empty()) legend.height = y + kLine + 3 + kGap;
  return legend;
}

void draw_tile_legend(Canvas& canvas, double left, double top, const TileLegend& legend,
                      double width) {
  for (size_t i = 0; i < legend.entries.size(); ++i) {
    const auto [dx, dy] = legend.places[i];
    const double x = left + dx, y = top + dy;
    const LegendEntry& entry = legend.entries[i];
    canvas.fill(x, y, kSwatch, kSwatch, entry.color);
    canvas.frame(x, y, kSwatch, kSwatch, 1, mix(entry.color, kLight.ink, 0.35));
    canvas.text(x + kSwatch + 6, y + kSwatch - 2, entry.name,
                {.size = kFont, .color = kLight.ink, .max_width = width - dx - kSwatch - 6});
  }
}

// Of the numbers of columns from `most` down to its half, the one that leaves the fewest places of
// the last row empty.
size_t even_columns(size_t tiles, size_t most) {
  size_t best = std::min(most, tiles);
  const auto empty = [&](size_t columns) { return (columns - tiles % columns) % columns; };
  for (size_t columns = best; columns > 0 && 2 * columns >= best; --columns) {
    if (empty(columns) < empty(best)) best = columns;
  }
  return best;
}

}  // namespace

Image draw_tiles(std::span<const Tile> tiles, int width) {
  require(!tiles.empty(), ErrorCode::kInvalidArgument, "no tiles to draw");
  double cell = kLeastWidth;
  for (const Tile& tile : tiles) cell = std::max(cell, size_of(tile).panels);
  const double step = cell + 2 * kFrame + kGap;
  // A seventh more than `width`, where that fills the rows.
  const auto fit = static_cast<size_t>(std::max(1.0, std::floor((1.15 * width - kGap) / step)));
  const size_t columns = even_columns(tiles.size(), fit);
  const size_t lines = (tiles.size() + columns - 1) / columns;
  std::vector<double> rows(lines, 0);
  for (size_t i = 0; i < tiles.size(); ++i) {
    rows[i / columns] = std::max(rows[i / columns], size_of(tiles[i]).height);
  }
  const double across = kGap + double(columns) * step;
  const TileLegend legend = plan_tile_legend(tiles, across - 2 * kGap);
  double height = kGap + legend.height;
  for (const double row : rows) height += row + kGap;

  Canvas canvas(static_cast<int>(std::ceil(across)), static_cast<int>(std::ceil(height)),
                kTilePaper);
  double y = kGap;
  for (size_t i = 0; i < tiles.size(); ++i) {
    if (i > 0 && i % columns == 0) y += rows[i / columns - 1] + kGap;
    draw_tile(canvas, kGap + double(i % columns) * step, y, cell, tiles[i]);
  }
  draw_tile_legend(canvas, kGap + kFrame, y + rows.back() + kGap, legend, across - 2 * kGap);
  return canvas.pixels();
}

Image panel_of(const Image& image, int side) {
  const int longest = std::max({1, image.height, image.width});
  const Image rgb = to_rgb(image);
  if (longest > side) {
    const auto scaled = [&](int pixels) {
      return std::max(1, static_cast<int>(std::lround(double(pixels) * side / longest)));
    };
    return resize(rgb, scaled(image.height), scaled(image.width), Interpolation::kBilinear);
  }
  const int factor = std::max(1, static_cast<int>(std::lround(double(side) / longest)));
  Image large(image.height * factor, image.width * factor, 3);
  for (int y = 0; y < large.height; ++y) {
    const uint8_t* from = rgb.row(y / factor);
    uint8_t* to = large.row(y);
    for (int x = 0; x < large.width; ++x, to += 3) std::copy_n(from + 3 * (x / factor), 3, to);
  }
  return large;
}

}  // namespace asmlp
