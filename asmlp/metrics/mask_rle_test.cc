#include "asmlp/metrics/mask_rle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "asmlp/core/error.h"

namespace asmlp::mask_rle_test {
namespace {

// Row-major zeros and ones: with few changes (long runs) or many.
std::vector<uint8_t> random_bitmap(std::mt19937& random, int height, int width) {
  std::vector<uint8_t> pixels(size_t(height) * width);
  const unsigned change = 1 + random() % 12;
  uint8_t value = random() % 2;
  for (uint8_t& pixel : pixels) {
    if (random() % change == 0) value ^= 1;
    pixel = value;
  }
  return pixels;
}

MaskRle encode(const std::vector<uint8_t>& pixels, int height, int width) {
  return encode_mask({pixels, height, width});
}

std::vector<uint8_t> transposed(const std::vector<uint8_t>& pixels, int height, int width) {
  std::vector<uint8_t> result(pixels.size());
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) result[size_t(x) * height + y] = pixels[size_t(y) * width + x];
  }
  return result;
}

TEST(MaskRle, ByHand) {
  // 0 1 1
  // 0 1 0   column by column: 0 0, 1 1, 1 0
  const std::vector<uint8_t> pixels = {0, 1, 255, 0, 7, 0};
  const MaskRle mask = encode(pixels, 2, 3);
  EXPECT_EQ(mask.counts, (std::vector<uint32_t>{2, 3, 1}));
  EXPECT_EQ(mask_area(mask), 3);
  EXPECT_EQ(mask_box(mask), (std::array<double, 4>{1, 0, 2, 2}));
  EXPECT_EQ(decode_mask(mask), (std::vector<uint8_t>{0, 1, 1, 0, 1, 0}));
  EXPECT_EQ(compress_counts(mask), "231");
  EXPECT_EQ(encode({1}, 1, 1).counts, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(encode({}, 0, 0).counts, std::vector<uint32_t>{0});
}

TEST(MaskRle, StringsByHand) {
  // 100 = 3 * 32 + 4 is the groups 4 + 32, 3. The fourth count is written as 98 - 100 = -2: the
  // group 30 with the sign bit.
  const MaskRle mask = mask_from_counts({2, 100, 2, 98}, 2, 101);
  EXPECT_EQ(compress_counts(mask), "2T32N");
  EXPECT_EQ(mask_from_string("2T32N", 2, 101), mask);
  // 16 needs a second group, because bit 4 of the last one is the sign.
  EXPECT_EQ(compress_counts(mask_from_counts({16}, 4, 4)), "`0");
  // A difference over the whole range of a count.
  const MaskRle large = mask_from_counts({1, 4294836224u, 0, 0}, 65535, 65535);
  EXPECT_EQ(mask_from_string(compress_counts(large), 65535, 65535), large);
}

TEST(MaskRle, RoundTrips) {
  std::mt19937 random(8);
  for (int trial = 0; trial < 300; ++trial) {
    const int height = static_cast<int>(random() % 70), width = static_cast<int>(random() % 70);
    const std::vector<uint8_t> pixels = random_bitmap(random, height, width);
    const std::vector<uint8_t> columns = transposed(pixels, height, width);
    const MaskRle mask = encode(pixels, height, width);
    ASSERT_EQ(decode_mask(mask), pixels) << height << " x " << width;
    EXPECT_EQ(decode_mask(mask, PixelOrder::kColumnMajor), columns);
    EXPECT_EQ(encode_mask({columns, height, width, PixelOrder::kColumnMajor}), mask);
    EXPECT_EQ(mask_from_string(compress_counts(mask), height, width), mask);
    EXPECT_EQ(mask_from_counts(mask.counts, height, width), mask);
    // Runs alternate: none is empty but the first.
    EXPECT_EQ(std::count(mask.counts.begin() + 1, mask.counts.end(), 0u), 0);
  }
}

TEST(MaskRle, AreaAndBoxAreThoseOfThePixels) {
  std::mt19937 random(9);
  for (int trial = 0; trial < 300; ++trial) {
    const int height = 1 + static_cast<int>(random() % 20);
    const int width = 1 + static_cast<int>(random() % 20);
    std::vector<uint8_t> pixels(size_t(height) * width);
    for (unsigned n = random() % 6; n > 0; --n) pixels[random() % pixels.size()] = 1;
    int left = width, right = -1, top = height, bottom = -1;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        if (pixels[size_t(y) * width + x] == 0) continue;
        left = std::min(left, x), right = std::max(right, x);
        top = std::min(top, y), bottom = std::max(bottom, y);
      }
    }
    const MaskRle mask = encode(pixels, height, width);
    EXPECT_EQ(mask_area(mask), std::count(pixels.begin(), pixels.end(), 1));
    const std::array<double, 4> expected =
        right < 0 ? std::array<double, 4>{}
                  : std::array<double, 4>{double(left), double(top), double(right - left + 1),
                                          double(bottom - top + 1)};
    EXPECT_EQ(mask_box(mask), expected);
  }
}

TEST(MaskRle, APatchIsAMaskWithZerosAround) {
  std::mt19937 random(10);
  for (int trial = 0; trial < 200; ++trial) {
    const int height = static_cast<int>(random() % 40), width = static_cast<int>(random() % 40);
    const int rows = static_cast<int>(random() % (height + 1));
    const int columns = static_cast<int>(random() % (width + 1));
    const int top = static_cast<int>(random() % (height - rows + 1));
    const int left = static_cast<int>(random() % (width - columns + 1));
    const std::vector<uint8_t> patch = random_bitmap(random, rows, columns);
    std::vector<uint8_t> whole(size_t(height) * width);
    for (int y = 0; y < rows; ++y) {
      std::copy_n(patch.begin() + y * columns, columns, whole.begin() + (top + y) * width + left);
    }
    EXPECT_EQ(encode_patch({patch, rows, columns}, top, left, height, width),
              encode(whole, height, width));
  }
}

TEST(MaskRle, MergesAndOverlapsAreThoseOfThePixels) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 200; ++trial) {
    const int height = 1 + static_cast<int>(random() % 30);
    const int width = 1 + static_cast<int>(random() % 30);
    const int count = 1 + static_cast<int>(random() % 5);
    std::vector<std::vector<uint8_t>> bitmaps;
    std::vector<MaskRle> masks;
    std::vector<uint8_t> any(size_t(height) * width, 0), all(any.size(), 1), crowd;
    std::vector<const MaskRle*> pointers;
    for (int i = 0; i < count; ++i) {
      bitmaps.push_back(random_bitmap(random, height, width));
      masks.push_back(encode(bitmaps.back(), height, width));
      crowd.push_back(random() % 2);
      for (size_t p = 0; p < any.size(); ++p) {
        any[p] |= bitmaps.back()[p];
        all[p] &= bitmaps.back()[p];
      }
    }
    for (const MaskRle& mask : masks) pointers.push_back(&mask);
    EXPECT_EQ(merge_masks(masks, MaskMerge::kUnion), encode(any, height, width));
    EXPECT_EQ(merge_masks(masks, MaskMerge::kIntersection), encode(all, height, width));

    const std::vector<double> plain = mask_iou(pointers, pointers);
    const std::vector<double> crowded = mask_iou(pointers, pointers, crowd);
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j < count; ++j) {
        int both = 0, either = 0, first = 0;
        for (size_t p = 0; p < any.size(); ++p) {
          both += bitmaps[i][p] & bitmaps[j][p];
          either += bitmaps[i][p] | bitmaps[j][p];
          first += bitmaps[i][p];
        }
        const int whole = crowd[j] ? first : either;
        EXPECT_EQ(plain[i * count + j], either > 0 ? double(both) / either : 0);
        EXPECT_EQ(crowded[i * count + j], both > 0 ? double(both) / whole : 0);
      }
    }
  }
  EXPECT_EQ(merge_masks({}, MaskMerge::kUnion), MaskRle{});
}

TEST(MaskRle, BoxOverlapsByHand) {
  EXPECT_EQ(coco_box_iou({0, 0, 2, 1}, {0, 0, 1, 1}, false), 0.5);
  EXPECT_EQ(coco_box_iou({0, 0, 2, 1}, {0, 0, 1, 1}, true), 0.5);   // half of a is in the crowd
  EXPECT_EQ(coco_box_iou({0, 0, 1, 1}, {0, 0, 2, 1}, true), 1.0);   // all of a is
  EXPECT_EQ(coco_box_iou({0, 0, 1, 1}, {1, 0, 1, 1}, false), 0.0);  // they touch
  EXPECT_EQ(coco_box_iou({0, 0, 1, 1}, {0, 0, 1, 0}, false), 0.0);  // no area
  EXPECT_EQ(coco_box_iou({0, 0, 0, 0}, {0, 0, 0, 0}, false), 0.0);
}

TEST(MaskRle, BrokenMasksAreErrors) {
  const MaskRle short_mask{2, 2, {3}}, good{2, 2, {1, 3}}, other{1, 4, {4}}, none{2, 2, {}};
  for (const MaskRle& bad : {short_mask, none, MaskRle{-1, 2, {0}}, MaskRle{2, 70000, {140000}}}) {
    EXPECT_THROW(decode_mask(bad), Error);
    EXPECT_THROW(mask_area(bad), Error);
    EXPECT_THROW(mask_box(bad), Error);
    EXPECT_THROW(compress_counts(bad), Error);
    EXPECT_THROW(merge_masks(std::vector{good, bad}, MaskMerge::kUnion), Error);
    EXPECT_THROW(mask_iou(std::vector{&good}, std::vector{&bad}), Error);
    EXPECT_THROW(mask_from_counts(bad.counts, bad.height, bad.width), Error);
  }
  EXPECT_THROW(merge_masks(std::vector{good, other}, MaskMerge::kUnion), Error);
  EXPECT_THROW(mask_iou(std::vector{&good}, std::vector{&other}), Error);
  EXPECT_THROW(mask_iou(std::vector{&good}, std::vector{&good}, std::vector<uint8_t>{0, 1}), Error);
  // A character out of range, an unfinished number, one that is too long, a negative run, a wrong
  // sum.
  for (const char* text : {"4 ", "p", "T", "TTTTTTTTT0", "N", "3", "", "22O"}) {
    EXPECT_THROW(mask_from_string(text, 2, 2), Error) << text;
  }
  const std::vector<uint8_t> pixels(6);
  EXPECT_THROW(encode_mask({pixels, 2, 2}), Error);
  EXPECT_THROW(encode_mask({pixels, -2, -3}), Error);
  EXPECT_THROW(encode_patch({pixels, 2, 3}, 1, 0, 2, 3), Error);
  EXPECT_THROW(encode_patch({pixels, 2, 3}, 0, -1, 4, 4), Error);
}

}  // namespace
}  // namespace asmlp::mask_rle_test
