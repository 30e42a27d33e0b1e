#include "asmlp/detection/nms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "asmlp/detection/score_order.h"
#include "tests/support/support.h"

namespace asmlp::detect::nms_test {
namespace {

// Two threads, each with every other task.
void on_two_threads(int64_t tasks, const std::function<void(int64_t task)>& body) {
  const auto half = [&](int64_t first) {
    for (int64_t task = first; task < tasks; task += 2) body(task);
  };
  std::thread other(half, 1);
  half(0);
  other.join();
}

float iou(const Box& a, const Box& b) {
  const float w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const float shared = std::max(0.0f, w) * std::max(0.0f, h);
  return shared / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared);
}

// The definition: every pair, one after the other.
std::vector<int32_t> naive(const std::vector<Box>& boxes, const std::vector<float>& scores,
                           double threshold, int64_t limit) {
  std::vector<int32_t> order(boxes.size()), kept;
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    return std::isnan(scores[b]) ? !std::isnan(scores[a]) : scores[a] > scores[b];
  });
  for (int32_t i : order) {
    const bool dropped = std::ranges::any_of(
        kept, [&](int32_t k) { return iou(boxes[k], boxes[i]) > static_cast<float>(threshold); });
    if (!dropped) kept.push_back(i);
  }
  if (limit != kKeepAll) kept.resize(std::min<size_t>(kept.size(), limit));
  return kept;
}

// The boxes moved by their classes, all against all.
std::vector<int32_t> naive_batched(std::vector<Box> boxes, const std::vector<float>& scores,
                                   const std::vector<int32_t>& classes, double threshold,
                                   int64_t limit) {
  float largest = -INFINITY;
  for (const Box& b : boxes) largest = std::max({largest, b.x1, b.y1, b.x2, b.y2});
  for (size_t i = 0; i < boxes.size(); ++i) {
    const float shift = static_cast<float>(classes[i]) * (largest + 1);
    boxes[i] = {boxes[i].x1 + shift, boxes[i].y1 + shift, boxes[i].x2 + shift, boxes[i].y2 + shift};
  }
  return naive(boxes, scores, threshold, limit);
}

struct Case {
  std::vector<Box> boxes;
  std::vector<float> scores;
  std::vector<int32_t> classes;
};

// Corners on a grid of `step`: equal scores, equal boxes, and IoUs at the threshold are frequent.
Case random_case(std::mt19937& random, size_t count, int classes, float extent, float step,
                 float from = 0) {
  const auto grid = [&](float most) {
    return std::floor(std::uniform_real_distribution<float>(0, most)(random) / step) * step;
  };
  Case result;
  for (size_t i = 0; i < count; ++i) {
    const float x = from + grid(extent), y = from + grid(extent);
    result.boxes.push_back({x, y, x + grid(extent / 2), y + grid(extent / 2)});
    result.scores.push_back(static_cast<float>(random() % 40) / 40);
    result.classes.push_back(static_cast<int32_t>(random() % static_cast<unsigned>(classes)));
  }
  return result;
}

std::vector<int32_t> run(const Case& c, double threshold, int64_t limit, NmsMemory& memory,
                         const ParallelFor& parallel = run_in_turn) {
  std::vector<int32_t> kept;
  nms(c.boxes, c.scores, threshold, limit, parallel, memory, kept);
  return kept;
}

std::vector<int32_t> run_batched(const Case& c, double threshold, int64_t limit, NmsMemory& memory,
                                 const ParallelFor& parallel = run_in_turn) {
  std::vector<int32_t> kept;
  batched_nms(c.boxes, c.scores, c.classes, threshold, limit, parallel, memory, kept);
  return kept;
}

TEST(Nms, IsItsDefinition) {
  std::mt19937 random(31);
  NmsMemory memory;
  for (int i = 0; i < 200; ++i) {
    const Case c = random_case(random, i % 20 == 0 ? 700 : random() % 150, 1, i % 2 ? 12 : 60,
                               i % 3 ? 1 : 0.01f, i % 5 ? 0 : -7);
    const double threshold = static_cast<double>(random() % 5) * 0.25;
    for (const int64_t limit : {kKeepAll, int64_t(random() % 20)}) {
      EXPECT_EQ(run(c, threshold, limit, memory), naive(c.boxes, c.scores, threshold, limit))
          << "seed 31, case " << i;
    }
  }
}

// Few and many classes; coordinates below zero, where classes may touch after the move; so large
// that the move rounds them to multiples of 64.
TEST(Nms, OfClassesIsItsDefinitionToo) {
  std::mt19937 random(32);
  NmsMemory memory;
  for (int i = 0; i < 300; ++i) {
    const float extents[]{12, 60, 1000, 60000};
    const int counts[]{1, 2, 5, 80, 16384};
    const float from = i % 7 == 0 ? -9 : 0;
    const Case c =
        random_case(random, random() % 250, counts[i % 5], extents[i % 4], i % 3 ? 1 : 0.01f, from);
    const double threshold = static_cast<double>(random() % 4) * 0.25;
    for (const int64_t limit : {kKeepAll, int64_t(random() % 30)}) {
      const auto expected = naive_batched(c.boxes, c.scores, c.classes, threshold, limit);
      EXPECT_EQ(run_batched(c, threshold, limit, memory), expected) << "seed 32, case " << i;
      EXPECT_EQ(run_batched(c, threshold, limit, memory, on_two_threads), expected);
    }
  }
}

TEST(Nms, ManyBoxesGoClassByClass) {
  std::mt19937 random(33);
  NmsMemory memory;
  for (const size_t count : {size_t{9999}, size_t{10000}, size_t{12000}}) {
    // On this grid the move of a class is exact.
    const Case c = random_case(random, count, 7, 256, 4);
    std::vector<int32_t> expected;
    for (int32_t label = 0; label < 7; ++label) {
      std::vector<int32_t> members;
      Case own;
      for (size_t i = 0; i < count; ++i) {
        if (c.classes[i] != label) continue;
        members.push_back(static_cast<int32_t>(i));
        own.boxes.push_back(c.boxes[i]), own.scores.push_back(c.scores[i]);
      }
      for (const int32_t k : naive(own.boxes, own.scores, 0.5, kKeepAll)) {
        expected.push_back(members[k]);
      }
    }
    std::ranges::sort(expected, [&](int32_t a, int32_t b) {
      return order_key(c.scores[a], a) < order_key(c.scores[b], b);
    });
    EXPECT_EQ(run_batched(c, 0.5, kKeepAll, memory), expected) << count;
    EXPECT_EQ(run_batched(c, 0.5, kKeepAll, memory, on_two_threads), expected) << count;
    expected.resize(100);
    EXPECT_EQ(run_batched(c, 0.5, 100, memory), expected) << count;
  }
}

TEST(Nms, OfAHundredThousandBoxes) {
  std::mt19937 random(34);
  const Case c = random_case(random, 100000, 3, 2000, 0.5f);
  NmsMemory memory;
  memory.reserve(100000, 3);
  const float* before = memory.x1.data();
  const auto kept = run(c, 0.7, 1000, memory);
  EXPECT_EQ(kept.size(), 1000u);
  EXPECT_EQ(run(c, 0.7, 1000, memory, on_two_threads), kept);
  EXPECT_EQ(run_batched(c, 0.7, 1000, memory), run_batched(c, 0.7, 1000, memory, on_two_threads));
  EXPECT_EQ(memory.x1.data(), before);  // what was reserved suffices
  for (size_t i = 1; i < kept.size(); ++i) EXPECT_GE(c.scores[kept[i - 1]], c.scores[kept[i]]);
}

TEST(Nms, OfNoneAndOne) {
  NmsMemory memory;
  EXPECT_TRUE(run({}, 0.5, kKeepAll, memory).empty());
  EXPECT_TRUE(run_batched({}, 0.5, 7, memory).empty());
  const Case one{{{1, 2, 3, 4}}, {NAN}, {5}};
  EXPECT_EQ(run(one, 0, kKeepAll, memory), std::vector<int32_t>{0});
  EXPECT_EQ(run_batched(one, 0, kKeepAll, memory), std::vector<int32_t>{0});
  EXPECT_TRUE(run(one, 0, 0, memory).empty());
}

TEST(Nms, NanIsLastAndSuppressesNothing) {
  NmsMemory memory;
  Case c;
  for (const float score : {0.5f, NAN, -INFINITY, -0.0f, 0.0f, INFINITY, -NAN}) {
    c.scores.push_back(score);
    const float x = 10 * static_cast<float>(c.boxes.size());
    c.boxes.push_back({x, 0, x + 5, 5});
    c.classes.push_back(1);
  }
  const std::vector<int32_t> order{5, 0, 3, 4, 2, 1, 6};
  EXPECT_EQ(run(c, 0.5, kKeepAll, memory), order);
  EXPECT_EQ(run_batched(c, 0.5, kKeepAll, memory), order);
  // Boxes that are equal but for a NaN or an infinity.
  std::mt19937 random(35);
  for (int i = 0; i < 200; ++i) {
    Case wild = random_case(random, 60, 4, 10, 1);
    for (Box& box : wild.boxes) {
      float* edges[]{&box.x1, &box.y1, &box.x2, &box.y2};
      if (random() % 3 == 0) *edges[random() % 4] = NAN;
      if (random() % 9 == 0) *edges[random() % 4] = random() % 2 ? INFINITY : -INFINITY;
    }
    for (float& score : wild.scores) score = random() % 5 ? score : NAN;
    for (const auto& kept :
         {run(wild, 0.3, kKeepAll, memory), run_batched(wild, 0.3, kKeepAll, memory)}) {
      for (size_t b = 0; b < wild.boxes.size(); ++b) {
        const Box& box = wild.boxes[b];
        const bool nan = std::isnan(box.x1 + box.y1 + box.x2 + box.y2);
        if (nan) {
          EXPECT_TRUE(std::ranges::count(kept, static_cast<int32_t>(b)) == 1) << i;
        }
      }
    }
  }
}

TEST(Nms, KeysKeepTheScore) {
  for (const float score : {0.0f, 1.0f, 0.3f, -2.5f, INFINITY, -INFINITY, 1e-40f}) {
    const uint64_t key = order_key(score, 77);
    EXPECT_EQ(score_of_key(key), score);
    EXPECT_EQ(index_of_key(key), 77u);
  }
  EXPECT_TRUE(std::isnan(score_of_key(order_key(NAN, 3))));
}

TEST(Nms, RefusesWhatDoesNotFit) {
  NmsMemory memory;
  const Case two{{{0, 0, 1, 1}, {0, 0, 1, 1}}, {1, 1}, {0, 0}};
  Case wrong = two;
  wrong.scores.pop_back();
  EXPECT_THROW(run(wrong, 0.5, 1, memory), Error);
  EXPECT_THROW(run(two, -0.5, 1, memory), Error);
  EXPECT_THROW(run(two, NAN, 1, memory), Error);
  EXPECT_THROW(run(two, 0.5, -2, memory), Error);
  wrong = two;
  wrong.classes = {0};
  EXPECT_THROW(run_batched(wrong, 0.5, 1, memory), Error);
  wrong.classes = {0, -1};
  EXPECT_THROW(run_batched(wrong, 0.5, 1, memory), Error);
  wrong.classes = {0, 1 << 24};
  EXPECT_THROW(run_batched(wrong, 0.5, 1, memory), Error);
}

}  // namespace
}  // namespace asmlp::detect::nms_test
