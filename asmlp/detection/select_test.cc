#include "asmlp/detection/select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/support/support.h"

namespace asmlp::detect::select_test {
namespace {

Found selected(std::span<const Box> regions, const std::vector<float>& probabilities,
               const std::vector<float>& deltas, int classes, const TestConfig& config,
               std::array<float, 4> scale = {1, 1, 1, 1}) {
  SelectMemory memory;
  Found found;
  select_detections(regions, probabilities.data(), classes + 1, deltas.data(), 4 * classes, classes,
                    {}, {100, 100}, scale, config, memory, found);
  return found;
}

TEST(Select, ByHand) {
  // Two classes and the background; deltas move boxes of 10 pixels.
  const std::vector<Box> regions(3, Box{0, 0, 10, 10});
  const std::vector<float> probabilities{0.6f, 0.3f, 0.1f, 0.5f, 0.05f, 0.45f, 0, 0.2f, 0.8f};
  std::vector<float> deltas(24, 0.0f);
  deltas[4] = 0.1f;   // region 0, class 1
  deltas[20] = 2.1f;  // region 2, class 1
  const Found found = selected(regions, probabilities, deltas, 2, {});
  // The second region is suppressed in class 0, and scores 0.05, which is not more, in class 1.
  EXPECT_EQ(found.scores, (std::vector<float>{0.6f, 0.3f, 0.2f}));
  EXPECT_EQ(found.labels, (std::vector<int>{0, 1, 1}));
  EXPECT_EQ(found.boxes, (std::vector<Box>{{0, 0, 10, 10}, {1, 0, 11, 10}, {21, 0, 31, 10}}));
  EXPECT_EQ(selected(regions, probabilities, deltas, 2, {.max_detections = 1}).scores,
            std::vector<float>{0.6f});
  EXPECT_EQ(selected(regions, probabilities, deltas, 2, {0.04, 1, 100}).labels,
            (std::vector<int>{0, 0, 1, 1, 1}));
  // In pixels of the file.
  EXPECT_EQ(selected(regions, probabilities, deltas, 2, {}, {2, 4, 2, 4}).boxes[0],
            (Box{0, 0, 5, 2.5f}));
  EXPECT_TRUE(selected({}, {}, {}, 2, {}).boxes.empty());
  EXPECT_TRUE(selected(regions, probabilities, deltas, 2, {.score_threshold = 0.6}).boxes.empty());
}

// All classes of all regions decoded, then the NMS.
TEST(Select, IsItsDefinition) {
  std::mt19937 random(51);
  std::normal_distribution<float> normal;
  SelectMemory memory;
  Found found;
  for (int i = 0; i < 40; ++i) {
    const int classes = 1 + int(random() % 30), regions = int(random() % 120);
    const ImageSize clip{90, 120};
    const std::array<float, 4> scale{0.7f, 1.3f, 0.7f, 1.3f};
    const TestConfig config{i % 4 ? 0.05 : 0.0, 0.5, 1 + int(random() % 100)};
    std::vector<Box> boxes;
    std::vector<float> logits, deltas;
    for (int r = 0; r < regions; ++r) {
      const float x = float(random() % 100), y = float(random() % 70);
      boxes.push_back({x, y, x + 20, y + 20});
      for (int c = 0; c <= classes; ++c) logits.push_back(normal(random) * 2);
      for (int c = 0; c < 4 * classes; ++c) deltas.push_back(normal(random) * 0.1f);
    }
    softmax_rows(logits.data(), classes + 1, regions, classes + 1);
    Found all;
    for (int r = 0; r < regions; ++r) {
      double sum = 0;
      for (int c = 0; c <= classes; ++c) sum += logits[r * (classes + 1) + c];
      EXPECT_NEAR(sum, 1, 1e-5);
      for (int c = 0; c < classes; ++c) {
        const float score = logits[r * (classes + 1) + c];
        if (!(score > static_cast<float>(config.score_threshold))) continue;
        const Box b = decode({}, boxes[r], deltas.data() + 4 * (r * classes + c), &clip);
        all.boxes.push_back({b.x1 / 0.7f, b.y1 / 1.3f, b.x2 / 0.7f, b.y2 / 1.3f});
        all.scores.push_back(score), all.labels.push_back(c);
      }
    }
    NmsMemory nms;
    std::vector<int32_t> kept;
    batched_nms(all.boxes, all.scores, all.labels, 0.5, config.max_detections, run_in_turn, nms,
                kept);
    select_detections(boxes, logits.data(), classes + 1, deltas.data(), 4 * classes, classes, {},
                      clip, scale, config, memory, found);
    ASSERT_EQ(found.boxes.size(), kept.size()) << "seed 51, case " << i;
    for (size_t k = 0; k < kept.size(); ++k) {
      EXPECT_EQ(found.boxes[k], all.boxes[kept[k]]);
      EXPECT_EQ(found.scores[k], all.scores[kept[k]]);
      EXPECT_EQ(found.labels[k], all.labels[kept[k]]);
    }
  }
}

TEST(Select, HostileNumbers) {
  const std::vector<Box> regions{{0, 0, 10, 10}};
  std::vector<float> deltas(8, 0.0f);
  const auto run = [&](std::vector<float> probabilities) {
    return selected(regions, probabilities, deltas, 2, {});
  };
  EXPECT_THROW(run({NAN, 0.1f, 0.1f}), Error);
  EXPECT_EQ(run({0.9f, 0.01f, 0.09f}).boxes.size(), 1u);
  deltas[4] = NAN;  // of a class that is not likely enough: not looked at
  EXPECT_EQ(run({0.9f, 0.01f, 0.09f}).boxes.size(), 1u);
  deltas[0] = NAN;
  EXPECT_THROW(run({0.9f, 0.01f, 0.09f}), Error);
}

TEST(Select, SoftmaxOfHostileRows) {
  std::vector<float> rows{1000,      999,      -INFINITY, 7,         NAN,       0,         0,
                          7,         INFINITY, 0,         0,         7,         -INFINITY, 0,
                          -INFINITY, 7,        -INFINITY, -INFINITY, -INFINITY, 7};
  softmax_rows(rows.data(), 4, 5, 3);
  EXPECT_NEAR(rows[0], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_EQ(rows[2], 0);
  for (const size_t row : {1, 2, 4}) {
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(rows[4 * row + i])) << row;
  }
  EXPECT_EQ(rows[13], 1);
  for (size_t row = 0; row < 5; ++row) EXPECT_EQ(rows[4 * row + 3], 7);  // beyond n
}

TEST(Select, ScaleIsTheQuotientOfSizes) {
  const auto scale = scale_of({{800, 1067}, {480, 640}});
  EXPECT_EQ(scale, (std::array<float, 4>{float(1067.0 / 640), float(800.0 / 480),
                                         float(1067.0 / 640), float(800.0 / 480)}));
  EXPECT_THROW(scale_of({{800, 1067}, {0, 640}}), Error);
  EXPECT_THROW(scale_of({{800, -1}, {480, 640}}), Error);
}

}  // namespace
}  // namespace asmlp::detect::select_test
