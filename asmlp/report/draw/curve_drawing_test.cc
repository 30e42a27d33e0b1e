#include "asmlp/report/draw/curve_drawing.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/image/labels/class_color.h"
#include "asmlp/report/draw/confusion_drawing.h"
#include "asmlp/report/palette.h"

namespace asmlp::curve_drawing_test {
namespace {

int64_t count(const Image& image, Color color) {
  int64_t found = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    found += Color{image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]} == color;
  }
  return found;
}

// Scores whose class k has the precision `values[k]` at every recall; below 0: no objects.
CocoScores constant_scores(const std::vector<double>& values) {
  CocoScores scores;
  for (const double value : values) {
    scores.curves.emplace_back();
    for (CocoCurve& curve : scores.curves.back()) curve.fill(value);
  }
  return scores;
}

TEST(PrecisionRecallPicture, HasALineForEachClassWithObjects) {
  const Image picture =
      precision_recall_picture({{"Boxes", constant_scores({0.31, -1, 0.77})}}, {"a", "b", "c"});
  for (const int label : {0, 2}) {
    EXPECT_GT(count(picture, class_color(label)), 300) << label;  // 360 long, and the legend
  }
  EXPECT_EQ(count(picture, class_color(1)), 0);
  EXPECT_GT(count(picture, kLight.series[0]), 300);
  const Image two = precision_recall_picture(
      {{"Boxes", constant_scores({0.5})}, {"Masks", constant_scores({-1})}}, {});
  EXPECT_GT(two.height, picture.height + 300);
  EXPECT_EQ(two.width, picture.width);
  // More classes than there is room for: the lowest.
  std::vector<double> many;
  for (int k = 0; k < 40; ++k) many.push_back(1 - k / 50.0);
  const Image full = precision_recall_picture({{"Boxes", constant_scores(many)}}, {});
  EXPECT_EQ(count(full, class_color(0)), 0);
  EXPECT_GT(count(full, class_color(39)), 300);
  EXPECT_EQ(full.height, picture.height);
  EXPECT_THROW(precision_recall_picture({}, {}), Error);
}

TEST(ConfusionPicture, IsAMatrixOfFewClassesAndPairsOfMany) {
  for (const Counted counted : {Counted::kImages, Counted::kPixels}) {
    ConfusionMatrix matrix(3);
    for (int i = 0; i < 9; ++i) matrix.add(0, 0);
    matrix.add(1, 2);
    const std::vector<std::string> names{"short", "a name that is longer than any matrix has room",
                                         "x"};
    const Image small = confusion_picture(matrix, names, counted);
    // Row 0 is right throughout, row 1 wrong, row 2 empty: a full cell of each color.
    const Color blue = mix({255, 255, 255}, {24, 90, 160}, 0.9);
    EXPECT_GT(count(small, blue), 40 * 20);
    EXPECT_GT(count(small, {214, 84, 20}), 40 * 20);
    int height = 0;
    for (const int classes : {1, 13, 26, kMaxMatrixClasses}) {
      const Image picture = confusion_picture(ConfusionMatrix(classes), {}, counted);
      EXPECT_GT(picture.height, height);
      height = picture.height;
      EXPECT_LT(picture.width, 1800);
    }
    ConfusionMatrix large(kMaxMatrixClasses + 1);
    const Image none = confusion_picture(large, {}, counted);
    large.add(3, 4);
    large.add(7, 8);
    const Image pairs = confusion_picture(large, names, counted);
    EXPECT_GE(pairs.height, none.height);
    EXPECT_GT(count(pairs, mix({255, 255, 255}, {214, 84, 20}, 0.75)), 2 * 100 * 10);
  }
}

}  // namespace
}  // namespace asmlp::curve_drawing_test
