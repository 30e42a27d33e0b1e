#include "asmlp/detection/proposals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "asmlp/detection/anchors.h"
#include "asmlp/detection/refine.h"
#include "tests/support/support.h"

namespace asmlp::detect::proposals_test {
namespace {

// Levels of random outputs, with something between the rows that must not be read.
struct Network {
  std::vector<std::vector<float>> logits, deltas;
  std::vector<std::vector<Box>> anchors;
  std::vector<RpnLevel> levels;
};

Network random_network(std::mt19937& random, const AnchorConfig& config, MapSize finest) {
  std::normal_distribution<float> normal;
  const auto ratios = static_cast<int64_t>(config.ratios.size());
  Network net;
  for (size_t level = 0; level < config.strides.size(); ++level) {
    const MapSize size{(finest.h + (1 << level) - 1) >> level,
                       (finest.w + (1 << level) - 1) >> level};
    net.anchors.push_back(level_anchors(config, level, size));
    const int64_t cells = int64_t{size.h} * size.w;
    auto& logits = net.logits.emplace_back(cells * (ratios + 2), NAN);
    auto& deltas = net.deltas.emplace_back(cells * (4 * ratios + 1), NAN);
    for (int64_t cell = 0; cell < cells; ++cell) {
      // Whole and half logits: many scores are equal.
      for (int64_t a = 0; a < ratios; ++a) {
        logits[cell * (ratios + 2) + a] = std::round(normal(random) * 4) / 2;
      }
      for (int64_t k = 0; k < 4 * ratios; ++k) {
        deltas[cell * (4 * ratios + 1) + k] = normal(random) * 0.3f;
      }
    }
  }
  for (size_t level = 0; level < net.anchors.size(); ++level) {
    net.levels.push_back({net.logits[level].data(), ratios + 2, net.deltas[level].data(),
                          4 * ratios + 1, net.anchors[level]});
  }
  return net;
}

// The same in the plainest way.
Proposals slowly(const Network& net, int64_t ratios, const BoxCoder& coder, ImageSize image,
                 const ProposalConfig& config) {
  Proposals all;
  std::vector<int32_t> classes;
  for (size_t l = 0; l < net.levels.size(); ++l) {
    const RpnLevel& level = net.levels[l];
    std::vector<std::pair<float, int64_t>> order;
    for (int64_t i = 0; i < static_cast<int64_t>(level.anchors.size()); ++i) {
      const float logit = level.logits[i / ratios * level.logit_stride + i % ratios];
      order.emplace_back(1 / (1 + std::exp(-logit)), i);
    }
    std::ranges::stable_sort(order, std::greater(), &std::pair<float, int64_t>::first);
    order.resize(std::min<size_t>(order.size(), config.before_nms));
    for (const auto& [score, i] : order) {
      const Box box =
          decode(coder, level.anchors[i],
                 level.deltas + i / ratios * level.delta_stride + i % ratios * 4, &image);
      const bool large = box.x2 - box.x1 >= config.min_size && box.y2 - box.y1 >= config.min_size;
      if (!large && config.min_size > 0) continue;
      all.boxes.push_back(box), all.scores.push_back(score);
      classes.push_back(static_cast<int32_t>(l));
    }
  }
  NmsMemory memory;
  std::vector<int32_t> kept;
  batched_nms(all.boxes, all.scores, classes, config.nms_iou, config.kept, run_in_turn, memory,
              kept);
  Proposals result;
  for (const int32_t i : kept) {
    result.boxes.push_back(all.boxes[i]), result.scores.push_back(all.scores[i]);
  }
  return result;
}

TEST(Proposals, AreTheBestOfEveryLevel) {
  std::mt19937 random(41);
  const AnchorConfig anchors{.strides = {4, 8, 16}};
  ProposalMemory memory;
  Proposals found;
  for (int i = 0; i < 60; ++i) {
    const MapSize size{1 + int(random() % 30), 1 + int(random() % 90)};
    const Network net = random_network(random, anchors, size);
    const ImageSize image{4 * size.h - 3, 4 * size.w - 1};
    const ProposalConfig config{1 + int(random() % 500), 1 + int(random() % 300), 0.7,
                                i % 3 ? 0.0 : 12.0};
    propose(net.levels, 3, {}, image, config, run_in_turn, memory, found);
    const Proposals expected = slowly(net, 3, {}, image, config);
    EXPECT_EQ(found.boxes, expected.boxes) << "seed 41, case " << i;
    EXPECT_EQ(found.scores, expected.scores) << "seed 41, case " << i;
  }
}

TEST(Proposals, ByHand) {
  // Two levels of single anchors; the first has 3, of which the best two stay.
  const std::vector<Box> first{{0, 0, 10, 10}, {0, 0, 10, 9}, {50, 50, 60, 60}};
  const std::vector<Box> second{{0, 0, 10, 10}};
  const float logits[]{1, 2, -3, 0};
  float deltas[16]{};
  const std::vector<RpnLevel> levels{{logits, 1, deltas, 4, first},
                                     {logits + 3, 1, deltas + 12, 4, second}};
  const auto found = [&](ImageSize image, const ProposalConfig& config) {
    ProposalMemory memory;
    Proposals result;
    propose(levels, 1, {}, image, config, run_in_turn, memory, result);
    return result;
  };
  // Anchors 0 and 1 of level 0 overlap by 0.9; the one of level 1 equals anchor 0, and is let be.
  const Proposals two = found({100, 100}, {.before_nms = 2});
  EXPECT_EQ(two.boxes, (std::vector<Box>{{0, 0, 10, 9}, {0, 0, 10, 10}}));
  EXPECT_FLOAT_EQ(two.scores[0], 1 / (1 + std::exp(-2.0f)));
  EXPECT_EQ(two.scores[1], 0.5f);
  EXPECT_EQ(found({100, 100}, {}).boxes.size(), 3u);
  EXPECT_EQ(found({100, 100}, {.kept = 2}).boxes.size(), 2u);
  // Clipped before the suppression: both reach over the lower edge and become equal, then.
  deltas[3] = deltas[7] = 3;
  const Proposals clipped = found({8, 100}, {.nms_iou = 0.99});
  EXPECT_EQ(clipped.boxes, (std::vector<Box>{{0, 0, 10, 8}, {0, 0, 10, 8}, {50, 8, 60, 8}}));
}

TEST(Proposals, OfAHundredThousandAnchors) {
  std::mt19937 random(43);
  const Network net = random_network(random, {.strides = {4}}, {190, 180});
  ProposalMemory memory;
  memory.reserve(102600, 1, {100000, 100000, 0.7, 0});
  const uint64_t* before = memory.keys.data();
  Proposals found;
  propose(net.levels, 3, {}, {760, 720}, {100000, 1000, 0.7, 0}, run_in_turn, memory, found);
  EXPECT_EQ(found.boxes.size(), 1000u);
  EXPECT_EQ(memory.keys.data(), before);
}

TEST(Proposals, HostileNumbers) {
  const std::vector<Box> anchors{{0, 0, 10, 10}, {20, 0, 30, 10}};
  float logits[]{1, 2}, deltas[8]{};
  const std::vector<RpnLevel> levels{{logits, 1, deltas, 4, anchors}};
  ProposalMemory memory;
  Proposals found;
  const auto run = [&] {
    propose(levels, 1, {}, {50, 50}, {}, run_in_turn, memory, found);
    return found.boxes;
  };
  logits[0] = INFINITY, logits[1] = -INFINITY;
  EXPECT_EQ(run(), anchors);
  EXPECT_EQ(found.scores, (std::vector<float>{1, 0}));
  deltas[0] = INFINITY;  // far to the right: at the edge
  EXPECT_EQ(run()[0], (Box{50, 0, 50, 10}));
  deltas[0] = NAN;
  const std::string message = test::error_of(ErrorCode::kInvalidArgument, run);
  EXPECT_EQ(message, "the network's outputs are not finite; do its weights hold NaN?");
  deltas[0] = 0, logits[1] = NAN;
  EXPECT_EQ(test::error_of(ErrorCode::kInvalidArgument, run), message);
}

TEST(Proposals, RefuseWhatDoesNotFit) {
  const std::vector<Box> anchors{{0, 0, 1, 1}, {0, 0, 1, 1}};
  const float zeros[8]{};
  const std::vector<RpnLevel> levels{{zeros, 1, zeros, 4, anchors}};
  ProposalMemory memory;
  Proposals found;
  const auto run = [&](int per_cell, const ProposalConfig& config) {
    propose(levels, per_cell, {}, {9, 9}, config, run_in_turn, memory, found);
  };
  EXPECT_THROW(run(3, {}), Error);
  EXPECT_THROW(run(0, {}), Error);
  EXPECT_THROW(run(1, {.before_nms = 0}), Error);
  EXPECT_THROW(run(1, {.kept = 0}), Error);
  propose({}, 3, {}, {9, 9}, {}, run_in_turn, memory, found);
  EXPECT_TRUE(found.boxes.empty());
}

TEST(Anchors, LieOnTheCornersOfTheirCells) {
  const AnchorConfig config{.strides = {4, 8}, .scale = 8, .ratios = {0.5, 1, 2}};
  for (size_t level = 0; level < 2; ++level) {
    const MapSize size{level ? 2 : 3, level ? 3 : 5};
    const auto anchors = level_anchors(config, level, size);
    ASSERT_EQ(anchors.size(), size_t(size.h * size.w * 3));
    size_t i = 0;
    for (int row = 0; row < size.h; ++row) {
      for (int column = 0; column < size.w; ++column) {
        for (double ratio : config.ratios) {
          const double stride = config.strides[level], x = column * stride, y = row * stride;
          const double w = 8 * stride / std::sqrt(ratio), h = 8 * stride * std::sqrt(ratio);
          const Box& box = anchors[i++];
          // A few roundings of numbers below 64.
          const double tolerance = 64 * 4 * 6e-8;
          EXPECT_NEAR(box.x1, x - w / 2, tolerance);
          EXPECT_NEAR(box.y1, y - h / 2, tolerance);
          EXPECT_NEAR(box.x2, x + w / 2, tolerance);
          EXPECT_NEAR(box.y2, y + h / 2, tolerance);
        }
      }
    }
  }
  EXPECT_EQ(level_anchors(config, 0, {1, 1})[1], (Box{-16, -16, 16, 16}));  // exactly
  EXPECT_THROW(level_anchors(config, 2, {2, 2}), Error);
  EXPECT_THROW(level_anchors(config, 0, {0, 2}), Error);
  EXPECT_THROW(level_anchors({.strides = {4}, .ratios = {-1}}, 0, {2, 2}), Error);
}

TEST(BoxCoder, ByHand) {
  const BoxCoder coder{.stds = {0.1f, 0.1f, 0.2f, 0.2f}};
  const Box box{10, 10, 20, 30};
  const float none[4]{};
  EXPECT_EQ(decode(coder, box, none, nullptr), box);
  const float some[]{5, -2.5f, 5 * std::log(2.0f), 0};
  const Box moved = decode(coder, box, some, nullptr);
  EXPECT_NEAR(moved.x1, 10, 1e-4);
  EXPECT_NEAR(moved.y1, 5, 1e-4);
  EXPECT_NEAR(moved.x2, 30, 1e-4);
  EXPECT_NEAR(moved.y2, 25, 1e-4);
  // Sizes are limited, positions are not; clipping is on request.
  const float large[]{1000, -1000, 90, -90};
  const Box far = decode({}, {0, 0, 16, 16}, large, nullptr);
  EXPECT_NEAR(far.x2 - far.x1, 1000, 1e-2);
  EXPECT_NEAR(far.y2 - far.y1, 0.256, 2e-3);
  const ImageSize image{50, 100};
  EXPECT_EQ(decode({}, {0, 0, 16, 16}, large, &image), (Box{100, 0, 100, 0}));
  DetectorConfig config;
  config.wh_ratio_clip = 0.5;
  EXPECT_NEAR(box_coder(config, {1, 1, 1, 1}).max_log_ratio, std::log(2.0), 1e-12);
  EXPECT_THROW(box_coder(config, {1, 1, 1}), Error);
}

// Deltas of class c move a box of 10 pixels to the right by c.
TEST(Refine, FollowsTheBestForegroundClass) {
  std::vector<float> deltas(4 * 13, 0.0f);
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t c = 0; c < 3; ++c) deltas[row * 13 + 4 * c] = 0.1f * float(c);
  }
  // The background wins everywhere, and does not count; the first of equal ones.
  std::vector<float> logits{1, 2, 0, 9, NAN, 0, 0, 3, 9, NAN, -5, -6, -7, 9, NAN, 1, 4, 4, 9, NAN};
  const std::vector<Box> all(4, Box{0, 0, 10, 10});
  const auto refined = [&](ImageSize image) {
    std::vector<Box> boxes = all;
    refine_boxes({}, boxes, logits.data(), 5, deltas.data(), 13, 3, image);
    return boxes;
  };
  const float steps[]{1, 2, 0, 1};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(refined({100, 100})[i].x1, steps[i], 1e-5);
    EXPECT_NEAR(refined({100, 11})[i].x2, std::min(10 + steps[i], 11.0f), 1e-5);
  }
  std::vector<Box> nothing;
  refine_boxes({}, nothing, nullptr, 4, nullptr, 12, 3, {9, 9});
  EXPECT_THROW(refine_boxes({}, nothing, nullptr, 1, nullptr, 0, 0, {9, 9}), Error);
  deltas[4] = NAN;
  EXPECT_THROW(refined({100, 100}), Error);
  deltas[4] = 0;
  logits[0] = NAN;
  EXPECT_THROW(refined({100, 100}), Error);
}

}  // namespace
}  // namespace asmlp::detect::proposals_test
