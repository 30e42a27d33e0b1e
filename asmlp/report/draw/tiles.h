// A sheet of images with what is said about each: what a training puts into its report.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/report/palette.h"

namespace asmlp {

struct TileLine {
  std::string text;       // gives way, with an ellipsis, where the tile is too narrow
  std::string tail = {};  // behind it, always whole: a number
  Color color = kLight.ink;
  bool bold = false;
};

// A class that a tile shows in its color.
struct LegendEntry {
  std::string name;
  Color color;
  bool operator==(const LegendEntry&) const = default;
};

// Right and wrong are of a prediction: a wrong one has a red frame.
enum class Mark { kNone, kRight, kWrong };

struct Tile {
  std::vector<Image>
      panels;  // side by side, as they are, each with its heading when there are some
  std::vector<std::string> headings = {};
  std::vector<TileLine> lines = {};  // below
  Mark mark = Mark::kNone;
  std::vector<LegendEntry> legend = {};
};

// The colors of predictions that are right and wrong.
inline constexpr Color kRightColor{38, 128, 84}, kWrongColor{200, 50, 38};

// The tiles from left to right, then downwards, dark on white, with one legend for all below. A row
// has as many as fit into about `width` pixels (a seventh more at most), or fewer where that fills
// the last row better, and at least one; it is as high as its highest tile. Error(kInvalidArgument)
// without tiles.
Image draw_tiles(std::span<const Tile> tiles, int width = 1240);

// An image for a panel: enlarged by the whole number that brings its longer side nearest to `side`,
// each pixel repeated; reduced to `side` when it is longer. RGB.
Image panel_of(const Image& image, int side);

}  // namespace asmlp
