#include "asmlp/detection/mask_paste.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/support/support.h"

namespace asmlp::detect::mask_paste_test {
namespace {

// Every pixel of the image, in double. (Cells are numbered from their centers.)
double value_at(const std::vector<float>& mask, int h, int w, const Box& box, double y, double x) {
  const auto cell = [](double at, double from, double to, int cells) {
    const double u = (at - from) / (to - from);
    return (std::isfinite(u) ? u : 0.5) * cells - 0.5;
  };
  const double row = cell(y, box.y1, box.y2, h), column = cell(x, box.x1, box.x2, w);
  const double y0 = std::floor(row), x0 = std::floor(column);
  double sum = 0;
  for (const double i : {y0, y0 + 1}) {
    for (const double j : {x0, x0 + 1}) {
      if (i < 0 || j < 0 || i >= h || j >= w) continue;
      sum += (1 - std::abs(row - i)) * (1 - std::abs(column - j)) * mask[size_t(i * w + j)];
    }
  }
  return sum;
}

// Boxes inside, over the edges, outside, larger than the image, thin; masks that are smooth, full,
// noisy, or nearly constant at the threshold.
TEST(MaskPaste, IsBilinearWithinTheBox) {
  std::mt19937 random(71);
  std::uniform_real_distribution<float> unit;
  PasteMemory memory;
  memory.reserve({70, 90}, 28);
  const auto* places = memory.x.data();
  int64_t set = 0;
  for (int i = 0; i < 400; ++i) {
    const ImageSize image{1 + int64_t(random() % 70), 1 + int64_t(random() % 90)};
    const int h = 1 + int(random() % 28), w = 1 + int(random() % 28);
    const float threshold = i % 3 ? 0.5f : 0.1f + 0.8f * unit(random);
    Box box{unit(random) * 120 - 20, unit(random) * 90 - 15, 0, 0};
    box.x2 = box.x1 + unit(random) * (i % 5 ? 60 : 250), box.y2 = box.y1 + unit(random) * 80;
    if (i % 11 == 0) box = {-30, -30, 120, 110};
    if (i % 13 == 0) box.x2 = box.x1 + 0.01f;
    std::vector<float> mask(size_t(h) * w);
    const float cx = unit(random) * float(w), cy = unit(random) * float(h);
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        const float blob = 1 / (1 + std::exp(std::hypot(float(x) - cx, float(y) - cy) - 6));
        const float kinds[]{blob, 1, unit(random), threshold + 1e-7f * (unit(random) - 0.5f)};
        mask[size_t(y * w + x)] = kinds[i % 4];
      }
    }
    const MaskRle pasted = paste_mask(mask.data(), h, w, box, image, threshold, memory);
    ASSERT_EQ(pasted.height, image.height);
    ASSERT_EQ(pasted.width, image.width);
    const std::vector<uint8_t> pixels = decode_mask(pasted);
    for (int64_t y = 0; y < image.height; ++y) {
      for (int64_t x = 0; x < image.width; ++x) {
        const uint8_t pixel = pixels[size_t(y * image.width + x)];
        set += pixel;
        const bool near = double(x) >= std::floor(box.x1) - 1 &&
                          double(x) < std::ceil(box.x2) + 1 &&
                          double(y) >= std::floor(box.y1) - 1 && double(y) < std::ceil(box.y2) + 1;
        if (!near) {
          EXPECT_EQ(pixel, 0);
          continue;
        }
        const double value = value_at(mask, h, w, box, double(y) + 0.5, double(x) + 0.5);
        // Positions of 2^7 pixels are rounded by 8e-6, in boxes that may be thin.
        const double sides = std::min({box.x2 - box.x1, box.y2 - box.y1, 1e9f});
        if (std::abs(value - threshold) < 28 * 4e-5 / std::max(sides, 1e-3)) continue;
        EXPECT_EQ(pixel != 0, value >= threshold)
            << "seed 71, case " << i << ", pixel " << y << ", " << x;
      }
    }
  }
  EXPECT_GT(set, 20000);
  EXPECT_EQ(memory.x.data(), places);  // what was reserved suffices
}

TEST(MaskPaste, ByHand) {
  PasteMemory memory;
  const float full[]{1, 1, 1, 1};
  // Pixels 1 and 2 are mask cells; from there the mask falls to 0 at the center of the next pixel.
  EXPECT_EQ(paste_mask(full, 2, 2, {1, 1, 3, 3}, {5, 5}, 0.5f, memory).counts,
            (std::vector<uint32_t>{6, 2, 3, 2, 12}));
  EXPECT_EQ(paste_mask(full, 2, 2, {-5, -5, 10, 10}, {5, 5}, 0.5f, memory).counts[0], 0u);
  const float half[]{0.5f, 0.5f, 0.5f, 0.5f};  // at the threshold a pixel is set
  EXPECT_EQ(mask_area(paste_mask(half, 2, 2, {0, 0, 2, 2}, {2, 2}, 0.5f, memory)), 4);
  EXPECT_EQ(mask_area(paste_mask(half, 2, 2, {0, 0, 2, 2}, {2, 2}, 0.51f, memory)), 0);
  // An image of a hundred million pixels, of which four are looked at; and one beyond it.
  EXPECT_EQ(paste_mask(full, 2, 2, {9000, 500, 9002, 502}, {10000, 10000}, 0.5f, memory).counts,
            (std::vector<uint32_t>{90000500, 2, 9998, 2, 9989498}));
  EXPECT_EQ(paste_mask(full, 2, 2, {-20, 3, -10, 9}, {10000, 10000}, 0.5f, memory).counts,
            std::vector<uint32_t>{100000000});
  // All of the largest image.
  const MaskRle all = paste_mask(full, 2, 2, {-1e6f, -1e6f, 1e6f, 1e6f},
                                 {kMaxMaskSide, kMaxMaskSide}, 0.5f, memory);
  EXPECT_EQ(all.counts, (std::vector<uint32_t>{0, uint32_t(kMaxMaskSide) * kMaxMaskSide}));
}

TEST(MaskPaste, HostileNumbers) {
  PasteMemory memory;
  std::vector<float> mask(28 * 28, NAN);
  EXPECT_EQ(mask_area(paste_mask(mask.data(), 28, 28, {0, 0, 50, 50}, {60, 60}, 0.5f, memory)), 0);
  std::ranges::fill(mask, 1.0f);
  EXPECT_GT(mask_area(paste_mask(mask.data(), 28, 28, {2, 0, 2, 4}, {4, 4}, 0.5f, memory)), 0);
  EXPECT_EQ(mask_area(paste_mask(mask.data(), 28, 28, {9, 9, 2, 2}, {4, 4}, 0.5f, memory)), 0);
  for (const float huge : {1e30f, 3e38f}) {
    paste_mask(mask.data(), 28, 28, {-huge, -huge, huge, huge}, {60, 60}, 0.5f, memory);
  }
  const auto run = [&](const Box& box, ImageSize image, float threshold, int side = 28) {
    paste_mask(mask.data(), side, side, box, image, threshold, memory);
  };
  EXPECT_THROW(run({0, 0, NAN, 1}, {4, 4}, 0.5f), Error);
  EXPECT_THROW(run({0, -INFINITY, 1, 1}, {4, 4}, 0.5f), Error);
  EXPECT_THROW(run({0, 0, 1, 1}, {0, 4}, 0.5f), Error);
  EXPECT_THROW(run({0, 0, 1, 1}, {4, kMaxMaskSide + 1}, 0.5f), Error);
  EXPECT_THROW(run({0, 0, 1, 1}, {4, 4}, 0), Error);
  EXPECT_THROW(run({0, 0, 1, 1}, {4, 4}, NAN), Error);
  EXPECT_THROW(run({0, 0, 1, 1}, {4, 4}, 0.5f, 0), Error);
}

}  // namespace
}  // namespace asmlp::detect::mask_paste_test
