#include "asmlp/dataset/synthetic/scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/synthetic/scene_background.h"
#include "tests/support/idx_files.h"
#include "tests/support/support.h"

namespace asmlp::scene_test {
namespace {

using test::error_of;
using testing::HasSubstr;

// Ten items of one kind.
std::unique_ptr<Dataset> items_of(const test::TemporaryFolder& folder, const test::DrawItem& draw,
                                  int side = 28) {
  test::write_items(folder.path(), "train", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, draw, side);
  return open_idx(folder.path(), Split::kTrain);
}

Image from_rows(const std::vector<std::string>& rows) {
  Image image(static_cast<int>(rows.size()), static_cast<int>(rows[0].size()), 1);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) image.row(y)[x] = rows[y][x] == '#' ? 255 : 0;
  }
  return image;
}

TEST(ItemMask, FillsDarkSpotsAndKeepsOpenings) {
  const Image item =
      from_rows({"..........", ".########.", ".#..#####.", ".##.#...#.", ".####...#.", ".####...#.",
                 ".####...#.", ".########.", "#########.", "..########"});
  const Image mask =
      from_rows({"..........", ".########.", ".########.", ".####...#.", ".####...#.", ".####...#.",
                 ".####...#.", ".########.", "#########.", "..########"});
  // The spot of 3 pixels is filled, the opening of 12 is not, nor is the corner.
  EXPECT_EQ(item_mask(item).pixels, mask.pixels);
  Image dim(1, 3, 1);
  dim.pixels = {23, 24, 25};
  EXPECT_EQ(item_mask(dim).pixels, (std::vector<uint8_t>{0, 255, 255}));
  EXPECT_EQ(item_mask(Image(5, 4, 1)).pixels, std::vector<uint8_t>(20));
}

// What the owners say is what the objects say, whatever the sizes and numbers.
TEST(Scene, BoxesAndAreasAreThoseOfTheVisiblePixels) {
  const test::TemporaryFolder folder;
  const auto items = items_of(folder, test::draw_disc);
  int seen = 0, hidden = 0;
  for (const auto& [height, width] : {std::pair{32, 32}, {33, 120}, {97, 64}, {160, 160}}) {
    for (const auto& [fewest, most] : {std::pair{1, 1}, {1, 6}, {20, 25}, {100, 100}}) {
      for (uint64_t number = 0; number < 3; ++number) {
        SCOPED_TRACE(testing::Message() << height << " x " << width << ", " << fewest << " to "
                                        << most << ", number " << number);
        const SceneOptions options{.height = height,
                                   .width = width,
                                   .min_items = fewest,
                                   .max_items = most,
                                   .min_scale = 0.7,
                                   .min_visible = 0.3};
        SceneRandom random(5, 0, number), again(5, 0, number);
        const Scene scene = make_scene(*items, options, random);
        EXPECT_EQ(scene.image.pixels, make_scene(*items, options, again).image.pixels);
        ASSERT_EQ(scene.image.pixels.size(), static_cast<size_t>(height) * width * 3);
        ASSERT_EQ(scene.owners.pixels.size(), static_cast<size_t>(height) * width);
        const int drawn = static_cast<int>(scene.objects.size()) + scene.hidden;
        EXPECT_GE(drawn, fewest);
        EXPECT_LE(drawn, most);
        std::vector<SceneObject> found(scene.objects.size());
        std::vector<std::array<int, 4>> edges(found.size(), {height, width, -1, -1});
        for (int y = 0; y < height; ++y) {
          for (int x = 0; x < width; ++x) {
            const int owner = scene.owners.row(y)[x];
            ASSERT_LE(owner, static_cast<int>(found.size()));
            if (owner == 0) continue;
            auto& [top, left, bottom, right] = edges[owner - 1];
            top = std::min(top, y), left = std::min(left, x);
            bottom = std::max(bottom, y), right = std::max(right, x);
            ++found[owner - 1].area;
          }
        }
        for (size_t k = 0; k < found.size(); ++k) {
          const SceneObject& object = scene.objects[k];
          EXPECT_EQ(object.area, found[k].area);
          EXPECT_GE(object.area, 20);
          EXPECT_EQ(object.box.top, edges[k][0]);
          EXPECT_EQ(object.box.left, edges[k][1]);
          EXPECT_EQ(object.box.top + object.box.height - 1, edges[k][2]);
          EXPECT_EQ(object.box.left + object.box.width - 1, edges[k][3]);
          EXPECT_EQ(object.target, items->target(object.item));
        }
        seen += static_cast<int>(found.size());
        hidden += scene.hidden;
      }
    }
  }
  EXPECT_GT(seen, 300);
  EXPECT_GT(hidden, 300);
}

// Solid squares: an object's box lies within its rectangle, so a pixel of the box that is not the
// object's can only be that of one further in front; and all pixels of an object have one color
// up to the noise of +-8 levels, so picture and owners agree.
TEST(Scene, WhatIsInFrontHidesWhatIsBehind) {
  const test::TemporaryFolder folder;
  const auto items = items_of(folder, [](int, int, int) { return 255; });
  int overlaps = 0;
  for (uint64_t number = 0; number < 60; ++number) {
    SceneRandom random(6, 0, number);
    const Scene scene = make_scene(*items, {.min_items = 6, .max_items = 12}, random);
    for (size_t k = 0; k < scene.objects.size(); ++k) {
      const Window& box = scene.objects[k].box;
      std::array<int, 3> lowest{255, 255, 255}, highest{0, 0, 0};
      for (int y = box.top; y < box.top + box.height; ++y) {
        for (int x = box.left; x < box.left + box.width; ++x) {
          const size_t owner = scene.owners.row(y)[x];
          EXPECT_TRUE(owner >= 1 && owner <= k + 1) << "scene " << number << ", object " << k;
          overlaps += owner <= k;
          if (owner != k + 1) continue;
          for (int c = 0; c < 3; ++c) {
            lowest[c] = std::min<int>(lowest[c], scene.image.row(y)[3 * x + c]);
            highest[c] = std::max<int>(highest[c], scene.image.row(y)[3 * x + c]);
          }
        }
      }
      for (int c = 0; c < 3; ++c) EXPECT_LE(highest[c] - lowest[c], 17) << "scene " << number;
    }
  }
  EXPECT_GT(overlaps, 1000);
}

TEST(Scene, FlipsOnlyWhenAsked) {
  const test::TemporaryFolder folder;
  // The left half only.
  const auto items = items_of(folder, [](int, int, int x) { return x < 14 ? 255 : 0; });
  for (const SceneFlips flips : {SceneFlips::kNone, SceneFlips::kHorizontal}) {
    int on_the_left = 0, all = 0;
    for (uint64_t number = 0; number < 200; ++number) {
      // The same numbers are drawn either way, so the place of the frame is that of the other.
      SceneRandom random(7, 0, number), other(7, 0, number);
      const Scene plain =
          make_scene(*items, {.min_items = 1, .max_items = 1, .flips = SceneFlips::kNone}, random);
      const Scene scene =
          make_scene(*items, {.min_items = 1, .max_items = 1, .flips = flips}, other);
      if (plain.objects.empty() || scene.objects.empty()) continue;
      ++all;
      on_the_left += scene.objects[0].box.left == plain.objects[0].box.left;
    }
    ASSERT_GT(all, 150);
    if (flips == SceneFlips::kNone) {
      EXPECT_EQ(on_the_left, all);
    } else {  // 5 standard deviations of a fair coin
      EXPECT_NEAR(on_the_left, all / 2.0, 2.5 * std::sqrt(all));
    }
  }
}

TEST(Scene, BackgroundsDifferAndFillTheRange) {
  std::array<int, 256> histogram{};
  Image last;
  for (uint64_t number = 0; number < 50; ++number) {
    SceneRandom random(8, 0, number);
    const Image image = scene_background(40, 60, 1, random);
    EXPECT_NE(image.pixels, last.pixels);
    last = image;
    for (const uint8_t level : image.pixels) ++histogram[level];
    const auto [low, high] = std::ranges::minmax(image.pixels);
    EXPECT_GE(high - low, 10) << "background " << number << " is nearly plain";
  }
  EXPECT_GT(std::ranges::count_if(histogram, [](int count) { return count > 0; }), 250);
  SceneRandom random(8, 0, 0);
  EXPECT_EQ(scene_background(1, 1, 1, random).pixels.size(), 3u);
}

TEST(Scene, ClutterIsTheContrastOfTheBackground) {
  const auto spread = [](double clutter) {
    SceneRandom random(9, 0, 3);
    const Image image = scene_background(40, 60, clutter, random);
    const auto [low, high] = std::ranges::minmax(image.pixels);
    return high - low;
  };
  const int full = spread(1), half = spread(0.5);
  EXPECT_NEAR(half, full / 2.0, 0.2 * full);
  SceneRandom random(9, 0, 3);
  const Image plain = scene_background(40, 60, 0, random);
  for (size_t i = 3; i < plain.pixels.size(); ++i) {
    ASSERT_EQ(plain.pixels[i], plain.pixels[i % 3]);
  }
}

// Solid squares of 28 pixels.
TEST(Scene, ScalesAndVisiblePartsAreThoseAskedFor) {
  const test::TemporaryFolder folder;
  const auto items = items_of(folder, [](int, int, int) { return 255; });
  const SceneOptions options{.height = 400,
                             .width = 400,
                             .min_items = 8,
                             .max_items = 8,
                             .min_scale = 1.5,
                             .max_scale = 2,
                             .min_visible = 0.9};
  int seen = 0;
  for (uint64_t number = 0; number < 40; ++number) {
    SceneRandom random(10, 0, number);
    for (const SceneObject& object : make_scene(*items, options, random).objects) {
      const double least = 28 * 1.5 * 0.85 - 1, most = 28 * 2 * 1.15 + 1;
      EXPECT_GE(object.area, 0.9 * least * least);
      EXPECT_LE(std::max(object.box.height, object.box.width), most);
      ++seen;
    }
  }
  EXPECT_GT(seen, 100);
}

TEST(Scene, RefusesOptionsAndItemsItCannotUse) {
  const test::TemporaryFolder folder, large;
  const auto items = items_of(folder, test::draw_disc);
  for (const SceneOptions& options :
       {SceneOptions{.height = 31}, SceneOptions{.width = 2049}, SceneOptions{.min_items = 0},
        SceneOptions{.min_items = 3, .max_items = 2}, SceneOptions{.max_items = 101},
        SceneOptions{.min_scale = 0.05}, SceneOptions{.min_scale = 2, .max_scale = 1.5},
        SceneOptions{.max_scale = 11}, SceneOptions{.min_visible = -0.1},
        SceneOptions{.min_visible = 1.1}, SceneOptions{.clutter = 1.5}}) {
    SceneRandom random(0, 0, 0);
    EXPECT_EQ(error_of([&] { make_scene(*items, options, random); }).code(),
              ErrorCode::kInvalidArgument);
  }
  const auto giants = items_of(
      large, [](int, int, int) { return 255; }, 257);
  SceneRandom random(0, 0, 0);
  const Error error = error_of([&] { make_scene(*giants, {}, random); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("257 x 257 pixels"));
  // Items without any light are left out.
  const auto black = items_of(folder, [](int, int, int) { return 0; });
  const Scene scene = make_scene(*black, {.min_items = 4, .max_items = 4}, random);
  EXPECT_TRUE(scene.objects.empty());
  EXPECT_EQ(scene.hidden, 4);
}

}  // namespace
}  // namespace asmlp::scene_test
