#include "asmlp/torch/detect/model/rpn.h"

#include <gtest/gtest.h>

#include "asmlp/torch/detect/roi/roi_extractor.h"
#include "tests/support/boxes.h"
#include "tests/support/detectors.h"

namespace asmlp::detect::rpn_test {
namespace {

TEST(Rpn, ProposesForEveryImageOfABatch) {
  torch::manual_seed(61);
  DetectorConfig config = small_spec(DetectorKind::kMaskRcnn).config;
  config.rpn.box_stds = {0.5, 0.5, 0.3, 0.3};
  RpnOutput output;
  for (const int64_t side : {16, 8, 4, 2}) {
    output.logits.push_back(torch::randn({2, 3, side, side + 1}));
    output.deltas.push_back(torch::randn({2, 12, side, side + 1}));
  }
  const std::vector<ImageSize> sizes{{64, 68}, {50, 30}};
  const ProposalConfig options{40, 30, 0.6, 0};
  const auto found = propose_all(config, output, sizes, options);
  ASSERT_EQ(found.size(), 2u);
  const auto anchors = anchors_of(config, output);
  for (int64_t image = 0; image < 2; ++image) {
    // Anchor a of a cell has channel a of the logits and 4 a ... 4 a + 3 of the deltas.
    std::vector<torch::Tensor> logits, deltas;
    for (size_t level = 0; level < anchors.size(); ++level) {
      logits.push_back(output.logits[level][image].permute({1, 2, 0}).reshape({-1}));
      deltas.push_back(output.deltas[level][image].permute({1, 2, 0}).reshape({-1, 4}));
      EXPECT_EQ(anchors[level].size(0), logits.back().size(0));
    }
    const ProposedRois expected =
        propose(logits, deltas, anchors, {.stds = {0.5f, 0.5f, 0.3f, 0.3f}},
                sizes[static_cast<size_t>(image)], {40, 30, 0.6, 0});
    const ProposedRois& mine = found[static_cast<size_t>(image)];
    EXPECT_TRUE(mine.boxes.equal(expected.boxes));
    EXPECT_TRUE(mine.scores.equal(expected.scores));
  }
  EXPECT_LE(found[1].boxes.select(1, 2).max().item<float>(), 30);
  ProposalConfig large = options;
  large.min_size = 20;
  const auto size = propose_all(config, output, sizes, large)[0].boxes;
  EXPECT_GT(size.size(0), 0);
  EXPECT_GE((size.slice(1, 2) - size.slice(1, 0, 2)).min().item<float>(), 20);
  EXPECT_THROW(propose_all(config, output, {sizes[0]}, options), Error);
}

TEST(Rpn, PoolsFromTheLevelsOfTheConfig) {
  torch::manual_seed(62);
  DetectorConfig config = small_spec(DetectorKind::kMaskRcnn).config;
  config.roi.levels = 2;
  config.roi.finest_size = 7;
  std::vector<torch::Tensor> pyramid;
  for (const int64_t side : {16, 8, 4, 2}) pyramid.push_back(torch::randn({1, 5, side, side}));
  const auto rois = rois_of({boxes_of({0, 0, 13, 13, 1, 2, 15, 17, 0, 0, 60, 60})});
  const auto pooled = pool_rois(config, pyramid, rois, 3);
  const auto expected =
      roi_align({pyramid[0], pyramid[1]}, {0.25, 0.125}, rois, indices_of({0, 1, 1}), {3, 3, 0});
  EXPECT_LT(max_difference(pooled, expected), 1e-6);
  EXPECT_THROW(pool_rois(config, {pyramid[0]}, rois, 3), Error);
}

TEST(Rpn, CodersHaveTheConfigsLimit) {
  DetectorConfig config;
  config.wh_ratio_clip = 0.5;
  const BoxCoder coder = box_coder(config, {0.1, 0.1, 0.2, 0.2});
  const auto box =
      decode(coder, boxes_of({0, 0, 10, 10}), torch::tensor({{0.f, 0.f, 90.f, -90.f}}));
  EXPECT_LT(max_difference(box, boxes_of({-5, 2.5, 15, 7.5})), 1e-5);
  EXPECT_THROW(box_coder(config, {1, 1, 1}), Error);
}

}  // namespace
}  // namespace asmlp::detect::rpn_test
