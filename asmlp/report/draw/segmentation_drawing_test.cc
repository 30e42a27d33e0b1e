#include "asmlp/report/draw/segmentation_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/labels/class_color.h"
#include "tests/support/support.h"

namespace asmlp::segmentation_drawing_test {
namespace {

using testing::ElementsAre;

Image labels_of(int height, int width, const std::vector<uint8_t>& values) {
  Image labels(height, width, 1);
  labels.pixels = values;
  return labels;
}

Image filled(int height, int width, uint8_t value) {
  Image image(height, width, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

TEST(ClassColors, ArePublishedOnesOfAde20kAndDistinctOnesOfOthers) {
  std::vector<std::string> names;
  for (const SegmentationClass& one : ade20k_classes()) names.push_back(one.name);
  for (const auto& colors : {class_colors(150, names), class_colors(150, {})}) {
    EXPECT_EQ(colors[0], (Color{120, 120, 120}));
    EXPECT_EQ(colors[149], ade20k_classes()[149].color);
  }
  names.back() = "drone";
  const auto own = class_colors(150, names);
  for (int k = 0; k < 150; ++k) EXPECT_EQ(own[size_t(k)], class_color(k));
  EXPECT_EQ(class_colors(2, {"Background", "hat"}),
            (std::vector<Color>{{128, 128, 128}, class_color(1)}));
  EXPECT_EQ(class_colors(3, {}), (std::vector{class_color(0), class_color(1), class_color(2)}));
}

TEST(ClassAreas, AreSortedBySize) {
  EXPECT_THAT(class_areas(labels_of(2, 4, {7, 2, 2, 0, 9, 9, 9, 0})),
              ElementsAre(ClassArea{9, 3, 0.375}, ClassArea{0, 2, 0.25}, ClassArea{2, 2, 0.25},
                          ClassArea{7, 1, 0.125}));
}

TEST(Overlay, MixesInsideAndNotOnEdges) {
  const std::vector<Color> colors{{200, 0, 100}, {0, 100, 50}};
  const Image labels = labels_of(2, 3, {0, 0, 1, 0, 0, 1});
  const Image mixed = overlay(filled(2, 3, 100), labels, colors, 0.5);
  for (int y = 0; y < 2; ++y) {
    const uint8_t* row = mixed.row(y);
    EXPECT_THAT(std::vector(row, row + 9), ElementsAre(150, 50, 100, 200, 0, 100, 50, 100, 75));
  }
  const Image whole = labels_of(1, 2, {1, 1});
  EXPECT_EQ(overlay(filled(1, 2, 80), whole, colors, 0).pixels, filled(1, 2, 80).pixels);
  EXPECT_THAT(overlay(filled(1, 2, 80), whole, colors, 1).pixels,
              ElementsAre(0, 100, 50, 0, 100, 50));
  // Nobody knows the class of pixels with the label 255.
  EXPECT_THAT(overlay(filled(1, 2, 80), labels_of(1, 2, {255, 1}), colors, 1).pixels,
              ElementsAre(80, 80, 80, 0, 100, 50));
  EXPECT_THROW(overlay(filled(1, 2, 80), labels_of(1, 2, {0, 2}), colors, 1), Error);
  EXPECT_THROW(overlay(filled(2, 2, 80), whole, colors, 1), Error);
}

// The picture is at the left, enlarged by a whole number; the legend shows each class's color.
TEST(WriteSegmentation, ShowsPictureAndLegend) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "out.png";
  const std::vector<Color> colors = class_colors(256, {});
  const std::vector<std::string> classes{"wall",
                                         "a name that is longer than any legend is wide, "
                                         "by far, so that it must be cut"};
  std::vector<uint8_t> values(40 * 60, 0);
  std::fill(values.begin(), values.begin() + 600, 3);
  std::fill(values.begin() + 600, values.begin() + 1000, 1);
  write_segmentation(path, filled(40, 60, 90), labels_of(40, 60, values), classes, colors, 1);
  const Image out = decode_image(path);
  EXPECT_EQ(out.height, 320);
  ASSERT_GT(out.width, 480 + 60);
  EXPECT_LT(out.width, 480 + 400);
  const auto at = [&](int y, int x) {
    const uint8_t* pixel = out.row(y) + 3 * x;
    return Color{pixel[0], pixel[1], pixel[2]};
  };
  EXPECT_EQ(at(4, 4), colors[3]);
  EXPECT_EQ(at(319, 479), colors[0]);
  // Largest first: rows of 24 pixels from 8 on, swatches from 488 on.
  EXPECT_EQ(at(20, 496), colors[0]);
  EXPECT_EQ(at(44, 496), colors[3]);
  EXPECT_EQ(at(68, 496), colors[1]);
  EXPECT_EQ(at(200, 500), (Color{255, 255, 255}));

  // More classes than fit below one another take more columns.
  std::vector<uint8_t> many(60 * 60);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<uint8_t>(i / 60 * 4);
  write_segmentation(path, filled(60, 60, 90), labels_of(60, 60, many), {}, colors, 0.5);
  const Image wide = decode_image(path);
  EXPECT_EQ(wide.height, 480);
  EXPECT_GT(wide.width, 480 + 3 * 100);
  // A single pixel.
  write_segmentation(path, filled(1, 1, 90), labels_of(1, 1, {0}), {}, colors, 0.5);
  EXPECT_EQ(decode_image(path).height, 480);
}

}  // namespace
}  // namespace asmlp::segmentation_drawing_test
