#include "asmlp/report/draw/tiles.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/image/labels/class_color.h"

namespace asmlp::tiles_test {
namespace {

Color at(const Image& image, int y, int x) {
  const uint8_t* pixel = image.row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

Image filled(int height, int width, Color color) {
  Image image(height, width, 3);
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    image.pixels[i] = color.r, image.pixels[i + 1] = color.g, image.pixels[i + 2] = color.b;
  }
  return image;
}

int64_t count(const Image& image, Color color) {
  int64_t found = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) found += at(image, y, x) == color;
  }
  return found;
}

// Whatever tiles there are: each pixel of each panel is on the sheet, unscaled and uncovered.
TEST(DrawTiles, ShowsEveryPixelOfEveryPanel) {
  for (const size_t number : {1, 3, 7, 16}) {
    std::vector<Tile> tiles;
    for (size_t i = 0; i < number; ++i) {
      const Color color = class_color(static_cast<int>(i));
      Tile tile{.panels = {filled(20 + int(i), 30, color), filled(10, 200, color)}};
      if (i % 2 == 0) tile.headings = {"left", "right"};
      tile.lines = {
          {"a text that is far too long for the width of one tile, which gives way to an "
           "ellipsis",
           "97 %"}};
      tile.mark = i % 3 == 0 ? Mark::kWrong : i % 3 == 1 ? Mark::kRight : Mark::kNone;
      tiles.push_back(std::move(tile));
    }
    for (const int width : {1, 600, 5000}) {
      const Image sheet = draw_tiles(tiles, width);
      EXPECT_LE(sheet.width, std::max(1.15 * width, 300.0));
      for (size_t i = 0; i < number; ++i) {
        EXPECT_EQ(count(sheet, class_color(static_cast<int>(i))), (20 + int(i)) * 30 + 2000);
      }
      EXPECT_EQ(at(sheet, 0, 0), (Color{255, 255, 255}));
      EXPECT_GT(count(sheet, kWrongColor), 2 * 3 * 200);  // the frame of the first
    }
  }
  EXPECT_THROW(draw_tiles({}), Error);
}

TEST(DrawTiles, FillsTheRowsWhereItCan) {
  const auto columns = [](size_t number, int side) {
    const std::vector<Tile> tiles(number, Tile{.panels = {filled(side, side, {9, 9, 9})}});
    return draw_tiles(tiles).width / (side + 22);
  };
  EXPECT_EQ(columns(16, 144), 8);
  EXPECT_EQ(columns(16, 320), 4);
  EXPECT_EQ(columns(15, 320), 3);
  EXPECT_EQ(columns(3, 144), 3);
  EXPECT_EQ(columns(7, 320), 4);
}

TEST(DrawTiles, HasOneLegendOfTheClasses) {
  Tile tile{.panels = {filled(40, 40, {9, 9, 9})}};
  const int height = draw_tiles(std::vector{tile}).height;
  for (int k = 0; k < 40; ++k) tile.legend.push_back({"class of some name", class_color(k)});
  const Image one = draw_tiles(std::vector{tile});
  EXPECT_GT(one.height, height + 100);
  // The second tile shows the same classes: no class comes twice.
  const Image two = draw_tiles(std::vector{tile, tile}, 1);
  for (int k = 0; k < 40; ++k) {
    EXPECT_GE(count(one, class_color(k)), 100);  // inside of the swatch's frame
    EXPECT_EQ(count(two, class_color(k)), count(one, class_color(k)));
  }
}

TEST(PanelOf, EnlargesByWholeNumbersAndReduces) {
  Image gray(2, 3, 1);
  gray.pixels = {0, 50, 100, 150, 200, 250};
  const Image panel = panel_of(gray, 10);
  ASSERT_EQ(panel.width, 9);
  ASSERT_EQ(panel.height, 6);
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 9; ++x) {
      const uint8_t value = gray.pixels[size_t(y / 3 * 3 + x / 3)];
      EXPECT_EQ(at(panel, y, x), (Color{value, value, value}));
    }
  }
  const Image same = filled(30, 20, {1, 2, 3});
  EXPECT_EQ(panel_of(same, 30).pixels, same.pixels);
  const Image reduced = panel_of(same, 15);
  EXPECT_EQ(reduced.height, 15);
  EXPECT_EQ(reduced.width, 10);
  EXPECT_EQ(at(reduced, 14, 9), (Color{1, 2, 3}));
  EXPECT_EQ(panel_of(filled(1, 900, {}), 300).height, 1);
}

}  // namespace
}  // namespace asmlp::tiles_test
