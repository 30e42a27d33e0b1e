#include "asmlp/report/draw/detection_drawing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/labels/class_color.h"
#include "asmlp/report/palette.h"
#include "tests/support/support.h"

namespace asmlp::detection_drawing_test {
namespace {

Color at(const Image& image, int y, int x) {
  const uint8_t* pixel = image.row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

// A mask that is a rectangle.
MaskRle rectangle(int height, int width, int top, int left, int h, int w) {
  const std::vector<uint8_t> pixels(static_cast<size_t>(h) * static_cast<size_t>(w), 1);
  return encode_patch({pixels, h, w}, top, left, height, width);
}

TEST(DrawingFactor, EnlargesSmallImages) {
  EXPECT_EQ(drawing_factor(Image(1, 1, 3)), 400);
  EXPECT_EQ(drawing_factor(Image(160, 120, 3)), 3);
  EXPECT_EQ(drawing_factor(Image(120, 200, 3)), 2);
  EXPECT_EQ(drawing_factor(Image(300, 399, 3)), 2);
  EXPECT_EQ(drawing_factor(Image(300, 400, 3)), 1);
  EXPECT_EQ(drawing_factor(Image(300, 5000, 3)), 1);
}

TEST(PlaceLabels, AboveInsideBelowAndNeverOutside) {
  const Rect size{0, 0, 50, 10};
  const auto one = [&](Rect box) {
    return place_labels(200, 100, std::vector{box}, std::vector{size})[0];
  };
  EXPECT_EQ(one({20, 30, 60, 40}), (Rect{20, 20, 50, 10}));
  EXPECT_EQ(one({20, 4, 60, 40}), (Rect{20, 0, 50, 10}));      // no room above
  EXPECT_EQ(one({180, 30, 10, 40}), (Rect{150, 20, 50, 10}));  // nor to the right
  EXPECT_EQ(one({-30, 30, 10, 40}), (Rect{0, 20, 50, 10}));
  EXPECT_EQ(place_labels(30, 5, std::vector{Rect{0, 0, 30, 5}}, std::vector{size})[0],
            (Rect{0, 0, 50, 10}));  // wider than the picture

  // Three of one box, of which each goes where the others are not.
  const std::vector<Rect> boxes(3, Rect{20, 30, 60, 40}), sizes(3, size);
  const std::vector<Rect> placed = place_labels(200, 100, boxes, sizes);
  EXPECT_EQ(placed[0].y, 20);
  EXPECT_EQ(placed[1].y, 30);
  EXPECT_EQ(placed[2].y, 70);
}

TEST(WriteDetections, TintsMasksFramesBoxesAndLeavesTheRest) {
  const test::TemporaryFolder folder;
  Image image(300, 500, 3);
  std::ranges::fill(image.pixels, uint8_t{128});
  const MaskRle first = rectangle(300, 500, 100, 60, 80, 100);
  const MaskRle second = rectangle(300, 500, 200, 300, 50, 60);
  const std::vector<DrawnObject> objects{{{60, 100, 160, 180}, 0.9f, 0, &first},
                                         {{300, 200, 360, 250}, 0.5f, 1, &second}};
  const auto path = folder.path() / "a.png";
  write_detections(path, image, objects, {"cat", "dog"});
  const Image drawn = decode_image(path);
  ASSERT_EQ(drawn.height, 300);
  ASSERT_EQ(drawn.width, 500);
  const Color gray{128, 128, 128};
  for (const DrawnObject& object : objects) {
    const int x = static_cast<int>(object.box[0]), y = static_cast<int>(object.box[1]);
    const Color color = class_color(object.label);
    EXPECT_LE(color_distance(at(drawn, y + 20, x + 30), mix(gray, color, 0.42)), 3);
    EXPECT_EQ(at(drawn, y + 30, x), color);     // frame and contour
    EXPECT_EQ(at(drawn, y - 3, x + 1), color);  // the label's plate
    EXPECT_EQ(at(drawn, y + 30, x - 3), gray);
  }
  EXPECT_EQ(at(drawn, 10, 10), gray);
  EXPECT_EQ(at(drawn, 290, 490), gray);
  // Something is written on the plates.
  int ink = 0;
  for (int x = 60; x < 140; ++x) {
    for (int y = 82; y < 99; ++y) ink += color_distance(at(drawn, y, x), gray) > 200;
  }
  EXPECT_GT(ink, 50);
}

TEST(WriteDetections, ABoxWithoutMaskIsAFrame) {
  const test::TemporaryFolder folder;
  Image image(300, 500, 3);
  std::ranges::fill(image.pixels, uint8_t{128});
  const auto path = folder.path() / "a.png";
  write_detections(path, image, std::vector<DrawnObject>{{{60, 100, 160, 180}, 0.9f, 0}}, {"cat"});
  const Image drawn = decode_image(path);
  EXPECT_EQ(at(drawn, 130, 60), class_color(0));
  EXPECT_EQ(at(drawn, 97, 61), class_color(0));  // the label's plate
  for (int y = 105; y < 175; y += 5) EXPECT_EQ(at(drawn, y, 110), (Color{128, 128, 128}));
}

TEST(WriteDetections, BetterScoresAreOnTop) {
  const test::TemporaryFolder folder;
  const Image image(420, 420, 3);
  const MaskRle mask = rectangle(420, 420, 100, 100, 200, 200);
  write_detections(folder.path() / "a.png", image,
                   std::vector<DrawnObject>{{{100, 100, 300, 300}, 0.9f, 0, &mask},
                                            {{100, 100, 300, 300}, 0.8f, 1, &mask}},
                   {});
  EXPECT_EQ(at(decode_image(folder.path() / "a.png"), 200, 100), class_color(0));
}

TEST(WriteDetections, AnythingThatCanBeFound) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.png";
  // Nothing on a small gray image: its pixels repeated.
  Image gray(2, 3, 1);
  gray.pixels = {0, 50, 100, 150, 200, 250};
  write_detections(path, gray, {}, {});
  const Image enlarged = decode_image(path);
  ASSERT_EQ(enlarged.width, 3 * 134);
  ASSERT_EQ(enlarged.height, 2 * 134);
  EXPECT_EQ(at(enlarged, 0, 0), (Color{0, 0, 0}));
  EXPECT_EQ(at(enlarged, 267, 401), (Color{250, 250, 250}));
  EXPECT_EQ(at(enlarged, 133, 134), (Color{50, 50, 50}));
  // One pixel; boxes without area and outside; empty masks; names that are no text.
  const Image tiny(1, 1, 3);
  const MaskRle full{1, 1, {0, 1}}, empty{1, 1, {1}};
  write_detections(path, tiny,
                   std::vector<DrawnObject>{{{0, 0, 1, 1}, 0.9f, 0, &full},
                                            {{0, 0, 0, 0}, 0.5f, 1, &empty},
                                            {{-9, -9, 99, 99}, 0.1f, 7, &full}},
                   {"\xff\xfe", std::string(300, 'x')});
  EXPECT_EQ(decode_image(path).width, 400);
  // Of an extreme shape.
  const Image line(1, 2000, 3);
  const MaskRle part = rectangle(1, 2000, 0, 5, 1, 700);
  write_detections(path, line, std::vector<DrawnObject>{{{5, 0, 705, 1}, 1, 3, &part}}, {});
  EXPECT_EQ(decode_image(path).height, 1);

  // A box alone.
  write_detections(path, Image(400, 400, 3), std::vector<DrawnObject>{{{50, 50, 90, 90}, 1, 2}},
                   {});
  const Image box_alone = decode_image(path);
  EXPECT_EQ(at(box_alone, 70, 50), class_color(2));
  EXPECT_EQ(at(box_alone, 70, 70), (Color{0, 0, 0}));

  EXPECT_THROW(write_detections(path, line, std::vector<DrawnObject>{{{}, 1, 0, &full}}, {}),
               Error);
  EXPECT_THROW(
      write_detections(path, tiny,
                       std::vector<DrawnObject>{{{}, 0.1f, 0, &full}, {{}, 1, 0, &full}}, {}),
      Error);
  EXPECT_THROW(write_detections(path, Image(0, 4, 3), {}, {}), Error);
}

TEST(DrawDetections, LabelsOfGroundTruthHaveNoScores) {
  const Image image(120, 160, 3);
  const std::vector<DrawnObject> objects{{{20, 60, 120, 110}, 0, 0}};
  const auto draw = [&](ObjectText text) {
    return draw_detections(image, objects, {"hat"}, {.factor = 2, .font = 11, .text = text});
  };
  const Image named = draw(ObjectText::kName), scored = draw(ObjectText::kNameAndScore);
  ASSERT_EQ(named.width, 320);
  const auto plate = [](const Image& picture) {
    int width = 0;
    while (at(picture, 107, 40 + width) == class_color(0)) ++width;
    return width;
  };
  EXPECT_GT(plate(named), 15);
  EXPECT_GT(plate(scored), plate(named) + 15);
}

TEST(ScaledMask, TakesThePixelAtEachCenter) {
  std::mt19937 random(4);
  for (int round = 0; round < 50; ++round) {
    const auto side = [&] { return static_cast<int>(1 + random() % 30); };
    const int height = side(), width = side(), to_height = side(), to_width = side();
    std::vector<uint8_t> pixels(static_cast<size_t>(height * width));
    for (uint8_t& pixel : pixels) pixel = random() % 3 == 0;
    const std::vector<uint8_t> scaled =
        decode_mask(scaled_mask(encode_mask({pixels, height, width}), to_height, to_width));
    for (int y = 0; y < to_height; ++y) {
      for (int x = 0; x < to_width; ++x) {
        const int row = static_cast<int>((y + 0.5) * height / to_height + 1e-9);
        const int column = static_cast<int>((x + 0.5) * width / to_width + 1e-9);
        ASSERT_EQ(scaled[size_t(y * to_width + x)], pixels[size_t(row * width + column)])
            << height << 'x' << width << " to " << to_height << 'x' << to_width;
      }
    }
  }
}

}  // namespace
}  // namespace asmlp::detection_drawing_test
