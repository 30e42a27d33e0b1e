#include "asmlp/metrics/boxes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// Boxes on a coarse grid, so that equal boxes, overlaps of exactly 1/2 and empty boxes are common.
std::vector<float> random_boxes(std::mt19937& random, int count) {
  std::vector<float> boxes;
  for (int i = 0; i < count; ++i) {
    const float x = float(random() % 6), y = float(random() % 6);
    boxes.insert(boxes.end(), {x, y, x + float(random() % 5), y + float(random() % 5)});
  }
  return boxes;
}

// From the definition, in double: exact for these small whole numbers but for the division.
double iou_of(const float* a, const float* b, double least_union) {
  const auto area = [](const float* box) {
    return double(box[2] - box[0]) * double(box[3] - box[1]);
  };
  const double width = std::max(0.0f, std::min(a[2], b[2]) - std::max(a[0], b[0]));
  const double height = std::max(0.0f, std::min(a[3], b[3]) - std::max(a[1], b[1]));
  const double shared = width * height;
  return shared / std::max(area(a) + area(b) - shared, least_union);
}

// Keeps what no better box suppresses, by looking at all pairs.
std::vector<int> slow_nms(const std::vector<float>& boxes, const std::vector<float>& scores,
                          float threshold) {
  const int count = static_cast<int>(scores.size());
  std::vector<bool> done(scores.size());
  std::vector<int> kept;
  for (int round = 0; round < count; ++round) {
    int best = -1;
    for (int i = 0; i < count; ++i) {
      if (!done[i] && (best < 0 || scores[i] > scores[best])) best = i;
    }
    done[best] = true;
    const bool free = std::all_of(kept.begin(), kept.end(), [&](int k) {
      return !(float(iou_of(&boxes[4 * k], &boxes[4 * best], 0)) > threshold);
    });
    if (free) kept.push_back(best);
  }
  return kept;
}

TEST(Boxes, AreasByHand) {
  EXPECT_EQ(box_areas(std::vector<float>{0, 0, 2, 3, 1, 1, 1, 5, 3, 0, 1, 2}),
            (std::vector<float>{6, 0, -4}));
  EXPECT_TRUE(box_areas({}).empty());
}

TEST(Boxes, IouByHand) {
  // A unit square against itself, its right half, a square that touches it, and itself without
  // area.
  const std::vector<float> a = {0, 0, 1, 1};
  const std::vector<float> b = {0, 0, 1, 1, 0.5f, 0, 1, 1, 1, 0, 2, 1, 0.5f, 0.5f, 0.5f, 0.5f};
  EXPECT_EQ(box_iou(a, b), (std::vector<float>{1, 0.5f, 0, 0}));
  EXPECT_EQ(box_iou(std::vector<float>{3, 3, 3, 3}, std::vector<float>{3, 3, 3, 3}),
            std::vector<float>{0});
}

TEST(Boxes, IouEqualsTheDefinition) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 50; ++trial) {
    const std::vector<float> a = random_boxes(random, static_cast<int>(random() % 8));
    const std::vector<float> b = random_boxes(random, static_cast<int>(random() % 8));
    const std::vector<float> iou = box_iou(a, b);
    ASSERT_EQ(iou.size(), a.size() / 4 * (b.size() / 4));
    for (size_t i = 0; i < a.size() / 4; ++i) {
      for (size_t j = 0; j < b.size() / 4; ++j) {
        EXPECT_EQ(iou[i * (b.size() / 4) + j], float(iou_of(&a[4 * i], &b[4 * j], 1e-6)));
      }
    }
  }
}

TEST(Nms, EqualsTheSlowWay) {
  std::mt19937 random(6);
  for (int trial = 0; trial < 400; ++trial) {
    const int count = static_cast<int>(random() % 40);
    const std::vector<float> boxes = random_boxes(random, count);
    std::vector<float> scores(count);
    for (float& score : scores) score = float(random() % 7) / 8;  // ties
    const float threshold = std::vector<float>{0, 0.25f, 0.5f, 0.7f, 1}[random() % 5];
    const std::vector<int> expected = slow_nms(boxes, scores, threshold);
    EXPECT_EQ(nms(boxes, scores, threshold), expected) << "trial " << trial;
    const int few = static_cast<int>(random() % 5);
    std::vector<int> first = expected;
    first.resize(std::min<size_t>(first.size(), few));
    EXPECT_EQ(nms(boxes, scores, threshold, few), first);
  }
}

TEST(Nms, ThresholdIsStrict) {
  const std::vector<float> boxes = {0, 0, 2, 1, 0, 0, 1, 1};  // overlap exactly 1/2
  const std::vector<float> scores = {0.9f, 0.8f};
  EXPECT_EQ(nms(boxes, scores, 0.5f), (std::vector<int>{0, 1}));
  EXPECT_EQ(nms(boxes, scores, std::nextafter(0.5f, 0.0f)), std::vector<int>{0});
}

TEST(Nms, ClassesMovedApartDoNotMeet) {
  std::mt19937 random(7);
  const int count = 60;
  const std::vector<float> boxes = random_boxes(random, count);
  std::vector<float> moved = boxes, scores(count);
  std::vector<int> labels(count);
  const float distance = *std::max_element(boxes.begin(), boxes.end()) + 1;
  for (int i = 0; i < count; ++i) {
    labels[i] = static_cast<int>(random() % 3);
    scores[i] = float(random() % 64) / 64;
    for (int k = 0; k < 4; ++k) moved[4 * i + k] += float(labels[i]) * distance;
  }
  std::vector<int> together = nms(moved, scores, 0.5f), apart;
  for (int label = 0; label < 3; ++label) {
    std::vector<float> own_boxes, own_scores;
    std::vector<int> own;
    for (int i = 0; i < count; ++i) {
      if (labels[i] != label) continue;
      own.push_back(i);
      own_scores.push_back(scores[i]);
      own_boxes.insert(own_boxes.end(), &boxes[4 * i], &boxes[4 * i] + 4);
    }
    for (const int kept : nms(own_boxes, own_scores, 0.5f)) apart.push_back(own[kept]);
  }
  std::sort(together.begin(), together.end());
  std::sort(apart.begin(), apart.end());
  EXPECT_EQ(together, apart);
}

TEST(Nms, NanComesLastAndBadSizesAreErrors) {
  const std::vector<float> boxes = {0, 0, 1, 1, 5, 5, 6, 6, 9, 9, 9, 9, 9, 9, 9, 9};
  EXPECT_EQ(nms(boxes, std::vector<float>{NAN, 0.5f, 0.25f, 0.125f}, 0.5f),
            (std::vector<int>{1, 2, 3, 0}));
  EXPECT_THROW(nms(boxes, std::vector<float>{1, 2}, 0.5f), Error);
  EXPECT_THROW(nms(std::vector<float>{1, 2, 3}, {}, 0.5f), Error);
  EXPECT_THROW(box_iou(std::vector<float>{1, 2, 3}, {}), Error);
}

}  // namespace
}  // namespace asmlp
