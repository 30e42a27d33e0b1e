#include "asmlp/detection/tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/support/support.h"

namespace asmlp::detect::tiles_test {
namespace {

// An ellipse in a box of whole pixels.
struct Thing {
  int top = 0, left = 0, height = 0, width = 0;
  int label = 0;

  bool covers(int y, int x) const {
    const double v = (y + 0.5 - top) / height * 2 - 1, u = (x + 0.5 - left) / width * 2 - 1;
    return u * u + v * v <= 1;
  }
};

// The part of the thing in the window, as a bitmap of the window.
std::vector<uint8_t> bitmap_of(const Thing& thing, const Tile& window) {
  std::vector<uint8_t> pixels(size_t(window.height) * window.width);
  for (int y = std::max(0, thing.top - window.top);
       y < std::min(window.height, thing.top + thing.height - window.top); ++y) {
    for (int x = std::max(0, thing.left - window.left);
         x < std::min(window.width, thing.left + thing.width - window.left); ++x) {
      pixels[size_t(y) * window.width + x] = thing.covers(y + window.top, x + window.left);
    }
  }
  return pixels;
}

// What a detector without faults finds in a window: the visible part of everything.
std::vector<Detection> perfect(const std::vector<Thing>& things, const Tile& window,
                               std::mt19937& random, bool masks, double jitter = 0) {
  std::uniform_real_distribution<double> score(0.5, 1), shift(-jitter, jitter);
  std::vector<Detection> found;
  for (const Thing& thing : things) {
    const auto pixels = bitmap_of(thing, window);
    int top = window.height, left = window.width, bottom = 0, right = 0;
    for (int y = 0; y < window.height; ++y) {
      for (int x = 0; x < window.width; ++x) {
        if (pixels[size_t(y) * window.width + x] == 0) continue;
        top = std::min(top, y), left = std::min(left, x);
        bottom = std::max(bottom, y + 1), right = std::max(right, x + 1);
      }
    }
    if (bottom == 0) continue;
    Detection detection;
    const auto moved = [&](int value, int most) {
      return static_cast<float>(std::clamp<double>(value + shift(random), 0, most));
    };
    detection.box = {moved(left, window.width), moved(top, window.height),
                     moved(right, window.width), moved(bottom, window.height)};
    detection.score = static_cast<float>(score(random));
    detection.label = thing.label;
    if (masks) detection.mask = encode_mask({pixels, window.height, window.width});
    found.push_back(std::move(detection));
  }
  return found;
}

Detection whole_of(const Thing& thing, ImageSize image) {
  Detection detection;
  const auto x = static_cast<float>(thing.left), y = static_cast<float>(thing.top);
  detection.box = {x, y, x + static_cast<float>(thing.width), y + static_cast<float>(thing.height)};
  detection.label = thing.label;
  const Tile all{0, 0, int(image.height), int(image.width)};
  detection.mask = encode_mask({bitmap_of(thing, all), all.height, all.width});
  return detection;
}

// Every thing exactly once, its mask and (to `jitter`) its box as if seen in the image as a whole.
void expect_each_once(const std::vector<Detection>& found, const std::vector<Thing>& things,
                      ImageSize image, bool masks, double jitter, const std::string& what) {
  ASSERT_EQ(found.size(), things.size()) << what;
  EXPECT_TRUE(std::ranges::is_sorted(found, std::greater(), &Detection::score)) << what;
  for (const Thing& thing : things) {
    const Detection expected = whole_of(thing, image);
    int hits = 0;
    for (const Detection& detection : found) {
      bool same = detection.label == expected.label;
      for (size_t k = 0; k < 4; ++k) {
        same &= std::abs(detection.box[k] - expected.box[k]) <= jitter;
      }
      if (!same) continue;
      ++hits;
      EXPECT_TRUE(detection.mask == (masks ? expected.mask : MaskRle{})) << what;
    }
    EXPECT_EQ(hits, 1) << what << ": " << thing.top << ' ' << thing.left << ' ' << thing.height
                       << " x " << thing.width;
  }
}

bool apart(const Thing& a, const Thing& b, int gap) {
  return a.top + a.height + gap <= b.top || b.top + b.height + gap <= a.top ||
         a.left + a.width + gap <= b.left || b.left + b.width + gap <= a.left;
}

std::vector<Thing> scattered(ImageSize image, int count, int least, int most,
                             std::mt19937& random) {
  std::vector<Thing> things;
  for (int trial = 0; trial < 20 * count && std::ssize(things) < count; ++trial) {
    const auto between = [&](int low, int high) {
      return low + static_cast<int>(random() % uint32_t(high - low + 1));
    };
    Thing thing{0, 0, between(least, most), between(least, most), between(0, 1)};
    if (thing.height > image.height || thing.width > image.width) continue;
    thing.top = between(0, int(image.height) - thing.height);
    thing.left = between(0, int(image.width) - thing.width);
    if (std::ranges::all_of(things, [&](const Thing& o) { return apart(thing, o, 3); })) {
      things.push_back(thing);
    }
  }
  return things;
}

// With what `detect` finds on each tile.
std::vector<Detection> by_tiles(ImageSize image, const TileOptions& options,
                                const std::function<std::vector<Detection>(const Tile&)>& detect) {
  return detect_tiled(image, options, 0, 3, [&](std::span<const Tile> tiles) {
    EXPECT_TRUE(tiles.size() >= 1 && tiles.size() <= 3);
    std::vector<std::vector<Detection>> found;
    for (const Tile& tile : tiles) found.push_back(detect(tile));
    return found;
  });
}

TEST(TilesOf, CoverTheImageAndOverlap) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 300; ++trial) {
    TileOptions options;
    options.size = 32 + static_cast<int>(random() % 100);
    if (trial % 3 != 0) options.overlap = static_cast<int>(random() % (options.size / 2 + 1));
    options.whole = trial % 2 == 0;
    const int overlap = options.overlap.value_or(options.size / 4);
    const ImageSize image{1 + int64_t(random() % 400), 1 + int64_t(random() % 400)};
    std::vector<Tile> tiles = tiles_of(image, options);
    if (options.whole && tiles.size() > 1) {
      EXPECT_EQ(tiles.back(), (Tile{0, 0, int(image.height), int(image.width)}));
      tiles.pop_back();
    }
    std::vector<int> tops, lefts;
    for (const Tile& tile : tiles) {
      EXPECT_EQ(tile.height, std::min<int64_t>(options.size, image.height));
      EXPECT_EQ(tile.width, std::min<int64_t>(options.size, image.width));
      tops.push_back(tile.top), lefts.push_back(tile.left);
    }
    const auto check = [&](std::vector<int> starts, int64_t length) {
      std::ranges::sort(starts);
      starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
      const auto size = std::min<int64_t>(options.size, length);
      EXPECT_EQ(starts.front(), 0);
      EXPECT_EQ(starts.back() + size, length);
      for (size_t i = 1; i < starts.size(); ++i) {
        EXPECT_LE(starts[i], starts[i - 1] + options.size - overlap);
        // No more than needed: the next but one begins after the overlap.
        if (i + 1 < starts.size()) {
          EXPECT_EQ(starts[i], starts[i - 1] + options.size - overlap);
        }
      }
      return starts.size();
    };
    EXPECT_EQ(check(tops, image.height) * check(lefts, image.width), tiles.size());
  }
  EXPECT_EQ(tiles_of({1024, 1024}, {.whole = true}).size(), 1u);
  EXPECT_EQ(tiles_of({1024, 1025}, {.whole = true}).size(), 3u);
}

TEST(TilesOf, RefusesWhatHasNoMeaning) {
  const auto refused = [](ErrorCode code, ImageSize image, const TileOptions& options) {
    return test::error_of(code, [&] { tiles_of(image, options); });
  };
  const auto invalid = ErrorCode::kInvalidArgument;
  EXPECT_NE(refused(invalid, {10, 10}, {.size = 31}).find("tile size 31"), std::string::npos);
  refused(invalid, {10, 10}, {.size = 20000});
  EXPECT_NE(refused(invalid, {10, 10}, {.size = 64, .overlap = 33}).find("overlap 33"),
            std::string::npos);
  refused(invalid, {10, 10}, {.size = 64, .overlap = -1});
  refused(invalid, {10, 10}, {.merge_iou = 0});
  refused(invalid, {10, 10}, {.merge_part = 1.5});
  refused(invalid, {10, 10}, {.merge_part = std::nan("")});
  refused(invalid, {0, 10}, {});
  refused(invalid, {10, 65536}, {});
  refused(ErrorCode::kTooLarge, {65535, 65535}, {.size = 64});
}

TEST(MergeTiles, ObjectsUpToTheOverlapAreFoundOnce) {
  for (int trial = 0; trial < 60; ++trial) {
    std::mt19937 random(uint32_t(100 + trial));
    TileOptions options;
    options.size = 96 + static_cast<int>(random() % 64);
    options.overlap = options.size / 2 - static_cast<int>(random() % 10);
    options.whole = trial % 5 == 0;
    const ImageSize image{100 + int64_t(random() % 300), 100 + int64_t(random() % 300)};
    // So that a tile sees them away from its borders.
    const auto things = scattered(image, 25, 6, *options.overlap - 6, random);
    const bool masks = trial % 2 == 0;
    const auto found = by_tiles(
        image, options, [&](const Tile& tile) { return perfect(things, tile, random, masks); });
    ASSERT_NO_FATAL_FAILURE(
        expect_each_once(found, things, image, masks, 0, std::to_string(trial)));
  }
}

// Boxes that are a pixel off, as those of a network are.
TEST(MergeTiles, InexactBoxesToo) {
  for (int trial = 0; trial < 40; ++trial) {
    std::mt19937 random(uint32_t(200 + trial));
    const TileOptions options{.size = 128, .overlap = 56};
    const ImageSize image{150 + int64_t(random() % 200), 150 + int64_t(random() % 300)};
    const auto things = scattered(image, 20, 16, 48, random);
    const auto found = by_tiles(image, options, [&](const Tile& tile) {
      std::vector<Detection> all = perfect(things, tile, random, true, 1);
      // Slivers are seldom found.
      std::erase_if(all, [](const Detection& d) {
        return d.box[2] - d.box[0] < 6 || d.box[3] - d.box[1] < 6;
      });
      return all;
    });
    ASSERT_NO_FATAL_FAILURE(
        expect_each_once(found, things, image, true, 2.01, std::to_string(trial)));
  }
}

TEST(MergeTiles, ObjectsThatNoTileSeesWholeAreJoined) {
  for (int trial = 0; trial < 40; ++trial) {
    std::mt19937 random(uint32_t(300 + trial));
    const TileOptions options{.size = 64, .overlap = 16};
    const ImageSize image{200 + int64_t(random() % 100), 200 + int64_t(random() % 100)};
    const auto things = scattered(image, 4, 60, 130, random);
    const bool masks = trial % 2 == 0;
    const auto found = by_tiles(
        image, options, [&](const Tile& tile) { return perfect(things, tile, random, masks); });
    ASSERT_NO_FATAL_FAILURE(
        expect_each_once(found, things, image, masks, 0, std::to_string(trial)));
    for (const Detection& detection : found) EXPECT_GE(detection.score, 0.5f);
  }
}

// Small ones in front of a large one of their class: none is lost, none swallowed.
TEST(MergeTiles, ObjectsInFrontOfOthersStay) {
  const ImageSize image{200, 300};
  const std::vector<Thing> things{{20, 30, 160, 220, 0},  // over six tiles
                                  {90, 100, 12, 14, 0},   // in an overlap
                                  {30, 140, 10, 10, 0},   // in one tile
                                  {90, 210, 30, 20, 0}};
  for (const bool masks : {false, true}) {
    std::mt19937 random(7);
    const auto found = by_tiles(image, {.size = 128, .overlap = 40}, [&](const Tile& tile) {
      return perfect(things, tile, random, masks);
    });
    ASSERT_NO_FATAL_FAILURE(expect_each_once(found, things, image, masks, 0, "in front"));
  }
}

// Ships side by side, at an angle: their boxes overlap, their masks do not.
TEST(MergeTiles, MasksTellNeighborsApart) {
  const ImageSize image{100, 180};
  const TileOptions options{.size = 100, .overlap = 20};
  const auto stripe = [](const Tile& window, int offset) {
    std::vector<uint8_t> pixels(size_t(window.height) * window.width);
    for (int y = 0; y < window.height; ++y) {
      for (int x = 0; x < window.width; ++x) {
        const int u = x + window.left - 60 - (y + window.top) / 2 - offset;
        pixels[size_t(y) * window.width + x] = u >= 0 && u < 8 && y > 20 && y < 80;
      }
    }
    return pixels;
  };
  const auto found = by_tiles(image, options, [&](const Tile& window) {
    std::vector<Detection> all;
    for (const int offset : {0, 10, 20}) {
      Detection detection;
      detection.mask = encode_mask({stripe(window, offset), window.height, window.width});
      const auto box = mask_box(detection.mask);
      if (box[2] == 0) continue;
      detection.box = {float(box[0]), float(box[1]), float(box[0] + box[2]),
                       float(box[1] + box[3])};
      detection.score = 0.9f - 0.01f * float(offset);
      all.push_back(detection);
    }
    return all;
  });
  ASSERT_EQ(found.size(), 3u);
  const Tile all{0, 0, 100, 180};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(found[size_t(i)].mask == encode_mask({stripe(all, 10 * i), 100, 180})) << i;
  }
}

TEST(MergeTiles, OneTileChangesNothing) {
  std::mt19937 random(5);
  const ImageSize image{90, 120};
  const auto things = scattered(image, 20, 3, 40, random);
  const auto found = perfect(things, {0, 0, 90, 120}, random, true);
  auto expected = found;
  std::ranges::stable_sort(expected, std::greater(), &Detection::score);
  const std::vector<Tile> tiles = tiles_of(image, {});
  EXPECT_EQ(merge_tiles(image, tiles, {{found}}, {}, 0), expected);
  expected.resize(5);
  EXPECT_EQ(merge_tiles(image, tiles, {{found}}, {}, 5), expected);
  EXPECT_TRUE(merge_tiles(image, tiles, {{std::vector<Detection>()}}, {}, 0).empty());
}

TEST(MergeTiles, ClassesAreApart) {
  const std::vector<Tile> tiles{{0, 0, 64, 64}, {0, 32, 64, 64}};
  Detection a, b;
  a.box = {35, 5, 55, 30}, a.score = 0.8f, a.label = 1;
  b.box = {3, 5, 23, 30}, b.score = 0.7f, b.label = 2;
  const std::vector<std::vector<Detection>> found{{a}, {b}};
  EXPECT_EQ(merge_tiles({64, 96}, tiles, found, {.size = 64}, 0).size(), 2u);
  const std::vector<std::vector<Detection>> same{{b}, {b}};
  EXPECT_EQ(merge_tiles({64, 96}, tiles, same, {.size = 64}, 0).size(), 2u);  // far apart
}

Detection box_of(float x1, float y1, float x2, float y2, float score) {
  Detection detection;
  detection.box = {x1, y1, x2, y2};
  detection.score = score;
  return detection;
}

// What ends near a border is part of an object only if that goes on behind the border.
TEST(MergeTiles, WhatDoesNotPassTheBorderIsAnotherObject) {
  const std::vector<Tile> tiles{{0, 0, 128, 128}, {0, 64, 128, 128}};
  const Detection small = box_of(117, 50, 127, 60, 0.6f);
  for (const bool passes : {false, true}) {
    const float end = passes ? 70.0f : 63.0f;  // the first tile ends at 64 of the second
    const std::vector<std::vector<Detection>> found{{small}, {box_of(10, 30, end, 90, 0.7f)}};
    const auto merged = merge_tiles({128, 192}, tiles, found, {.size = 128, .overlap = 64}, 0);
    EXPECT_EQ(merged.size(), passes ? 1u : 2u);
    EXPECT_EQ(merged[0].score, 0.7f);
  }
}

// Two objects that one tile tells apart and another takes for one.
TEST(MergeTiles, WhatATileTellsApartStaysApart) {
  const std::vector<Tile> tiles{{0, 0, 128, 128}, {0, 64, 128, 128}};
  const std::vector<std::vector<Detection>> found{
      {box_of(20, 10, 128, 50, 0.6f), box_of(20, 52, 128, 90, 0.5f)},
      {box_of(0, 10, 120, 90, 0.7f)}};
  const auto merged = merge_tiles({128, 192}, tiles, found, {.size = 128, .overlap = 64}, 0);
  ASSERT_EQ(merged.size(), 2u);
  EXPECT_EQ(merged[0].box, (std::array<float, 4>{20, 10, 184, 90}));
  EXPECT_EQ(merged[0].score, 0.7f);
  EXPECT_EQ(merged[1].box, (std::array<float, 4>{20, 52, 128, 90}));
}

TEST(MergeTiles, NumbersThatAreNone) {
  const std::vector<Tile> tiles{{0, 0, 64, 64}, {0, 32, 64, 64}};
  const float nan = std::nanf("");
  Detection good, bad;
  good.box = {10, 10, 20, 20}, good.score = 0.5f;
  bad.box = {nan, 1, nan, 2}, bad.score = nan;
  const std::vector<std::vector<Detection>> found{{bad, good}, {bad}};
  const auto merged = merge_tiles({64, 96}, tiles, found, {.size = 64}, 0);
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged[0].score, 0.5f);
}

TEST(MergeTiles, MistakesAreErrors) {
  const std::vector<Tile> tiles{{0, 0, 64, 64}, {0, 32, 64, 64}};
  Detection detection;
  const auto refused = [&](ErrorCode code, ImageSize image,
                           const std::vector<std::vector<Detection>>& found) {
    test::error_of(code, [&] { merge_tiles(image, tiles, found, {.size = 64}, 0); });
  };
  refused(ErrorCode::kMismatch, {64, 96}, {{detection}});
  refused(ErrorCode::kInvalidArgument, {64, 95}, {{}, {}});
  detection.mask = {64, 63, {64 * 63}};
  refused(ErrorCode::kMismatch, {64, 96}, {{detection}, {}});
  detection.mask = {64, 64, {64 * 64, 1}};
  refused(ErrorCode::kBadFormat, {64, 96}, {{detection}, {}});
  detection.mask = {64, 64, {64 * 63}};
  refused(ErrorCode::kBadFormat, {64, 96}, {{detection}, {}});
  const auto none = [](auto) { return std::vector<std::vector<Detection>>(1); };
  test::error_of(ErrorCode::kInvalidArgument, [&] { detect_tiled({9, 9}, {}, 0, 0, none); });
  test::error_of(ErrorCode::kMismatch, [&] { detect_tiled({9, 3000}, {}, 0, 2, none); });
}

TEST(PixelRuns, AreThePastedMask) {
  std::mt19937 random(9);
  for (int trial = 0; trial < 200; ++trial) {
    const auto side = [&] { return 1 + static_cast<int>(random() % 30); };
    const ImageSize image{side(), side()};
    const auto some_tile = [&] {
      Tile tile;
      tile.height = 1 + static_cast<int>(random() % uint32_t(image.height));
      tile.width = 1 + static_cast<int>(random() % uint32_t(image.width));
      tile.top = static_cast<int>(random() % uint32_t(image.height - tile.height + 1));
      tile.left = static_cast<int>(random() % uint32_t(image.width - tile.width + 1));
      return tile;
    };
    const auto some_mask = [&](const Tile& tile) {
      std::vector<uint8_t> pixels(size_t(tile.height) * tile.width);
      const uint32_t share = random() % 5;
      for (uint8_t& pixel : pixels) pixel = random() % 4 < share;
      return pixels;
    };
    const Tile a = some_tile(), b = some_tile(), window = some_tile();
    const auto a_pixels = some_mask(a), b_pixels = some_mask(b);
    const auto pasted = [&](const Tile& tile, const std::vector<uint8_t>& pixels) {
      return encode_patch({pixels, tile.height, tile.width}, tile.top, tile.left, int(image.height),
                          int(image.width));
    };
    const auto runs = [&](const Tile& tile, const std::vector<uint8_t>& pixels) {
      return runs_in_image(encode_mask({pixels, tile.height, tile.width}), tile, image.height);
    };
    const MaskRle a_mask = pasted(a, a_pixels), b_mask = pasted(b, b_pixels);
    const PixelRuns a_runs = runs(a, a_pixels), b_runs = runs(b, b_pixels);
    ASSERT_EQ(mask_of(a_runs, image), a_mask) << trial;
    EXPECT_EQ(pixels_of(a_runs), mask_area(a_mask));
    const std::vector<MaskRle> both{a_mask, b_mask};
    EXPECT_EQ(mask_of(joined(a_runs, b_runs), image), merge_masks(both, MaskMerge::kUnion));
    EXPECT_EQ(common_pixels(a_runs, b_runs),
              mask_area(merge_masks(both, MaskMerge::kIntersection)));
    const std::vector<uint8_t> ones(size_t(window.height) * window.width, 1);
    EXPECT_EQ(pixels_inside(a_runs, window, image.height),
              mask_area(merge_masks(std::vector{a_mask, pasted(window, ones)},
                                    MaskMerge::kIntersection)));
  }
}

}  // namespace
}  // namespace asmlp::detect::tiles_test
